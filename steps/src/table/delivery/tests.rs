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
