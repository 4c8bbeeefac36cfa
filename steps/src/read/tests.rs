use std::collections::BTreeMap;

use super::{LIMIT, MAX_LIMIT, page};

fn parameters(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

#[test]
fn pages_have_bounds() {
    assert_eq!(page(&BTreeMap::new()), Ok((LIMIT, None)));
    assert_eq!(page(&parameters("limit", "200")), Ok((MAX_LIMIT, None)));
    for wrong in ["0", "201", "-1", "many", "", "99999999999999999999"] {
        let problem = page(&parameters("limit", wrong)).unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (422, Some("limit")),
            "{wrong}"
        );
    }
    let problem = page(&parameters("cursor", "made-up")).unwrap_err();
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("cursor")));
}
