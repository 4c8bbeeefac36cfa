use super::*;

#[test]
fn a_body_is_kept_as_it_came_or_its_beginning() {
    let whole = Body::of(b"{\"half\": ");
    assert_eq!(
        (whole.text.as_str(), whole.is_base64, whole.is_cut),
        ("{\"half\": ", false, false)
    );
    let binary = Body::of(&[0xff, 0xfe, 0x00]);
    assert_eq!(
        (binary.text.as_str(), binary.is_base64, binary.is_cut),
        ("//4A", true, false)
    );
    // The three bytes of the last character lie across the edge.
    let mut long = vec![b'a'; BODY_BYTES - 1];
    long.extend("€€".as_bytes());
    let cut = Body::of(&long);
    assert_eq!(
        (cut.text.len(), cut.is_base64, cut.is_cut),
        (BODY_BYTES - 1, false, true)
    );
    let mut broken = vec![0xff; BODY_BYTES + 1];
    broken[0] = b'a';
    assert!(Body::of(&broken).is_base64 && Body::of(&broken).is_cut);
}

#[test]
fn a_delivery_is_its_body() {
    let at = |ms| Time::from_millis(ms).unwrap();
    let rejected = |body: &[u8], ms| Rejected::new(body, String::new(), String::new(), at(ms)).id;
    assert_eq!(rejected(b"nonsense", 0), rejected(b"nonsense", 1));
    assert_ne!(rejected(b"nonsense", 0), rejected(b"nonsense ", 0));
    assert_eq!(rejected(b"", 0).len(), ID_DIGITS);
}

#[test]
fn what_comes_again_is_counted_and_keeps_its_place() {
    let at = |time: &str| time.parse::<Time>().unwrap();
    let rejected = |now| Rejected::new(b"{", "urn:p".to_owned(), "cut off".to_owned(), at(now));
    let change = rejected("2026-11-21T08:00:00.000Z").change();
    let expression = change.expression();
    assert!(expression.ends_with(" ADD #received :received"), "{expression}");
    for kept in ["started_at", "status_shard", "started_key"] {
        assert!(
            expression.contains(&format!("#{kept} = if_not_exists(#{kept}, :{kept})")),
            "{expression}"
        );
    }
    // It is kept for fourteen days after it last came.
    let values = rejected("2026-11-21T09:00:00.000Z").change().values();
    let expected = at("2026-12-05T09:00:00.000Z").millis() / 1000;
    assert_eq!(values[":expires_at"].as_n().unwrap(), &expected.to_string());
    assert_eq!(change.key, rejected("2026-11-21T09:00:00.000Z").change().key);
    let (mut aliases, mut names): (Vec<_>, Vec<_>) = (
        super::super::request::aliases(&expression).collect(),
        change.names().into_values().collect(),
    );
    aliases.sort_unstable();
    aliases.dedup();
    names.sort_unstable();
    assert_eq!(aliases, names);
}
