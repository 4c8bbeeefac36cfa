use super::*;

#[test]
fn only_the_wanted_kind_of_resource_passes() {
    let machine = "arn:aws:states:us-west-2:000000000000:stateMachine:m";
    let run = "arn:aws:states:us-west-2:000000000000:execution:m:run";
    assert!(state_machine(machine).is_ok());
    assert!(execution(run).is_ok());
    for (result, message) in [
        (
            state_machine(run),
            "Invalid Arn: 'Resource type not valid in this context: execution'",
        ),
        (
            execution(machine),
            "Invalid Arn: 'Resource type not valid in this context: stateMachine'",
        ),
        (execution("run"), "Invalid Arn: 'Invalid ARN prefix: run'"),
        (state_machine(""), "Invalid Arn: 'Invalid ARN prefix: '"),
    ] {
        assert_eq!(result.expect_err("is refused").to_string(), message);
    }
}

#[test]
fn an_express_execution_cannot_be_found_again() {
    let run = "arn:aws:states:us-west-2:000000000000:express:m:run:b1a7";
    assert!(matches!(execution(run), Err(Error::StateMachineTypeNotSupported)));
}

#[test]
fn names_are_free_of_what_urls_shells_and_patterns_use() {
    for good in ["a", "A-b_c.9", "ünïcode", "it's", "a+b=(c)!@"] {
        assert!(name(good).is_ok(), "{good}");
    }
    for bad in [
        "a b", "a>b", "a{", "a[", "a?", "a*", "a\"", "a#", "a%", "a\\", "a^", "a|", "a~", "a`", "a$", "a&", "a,", "a;",
        "a:", "a/", "a\u{1f}", "a\u{7f}", "a\u{9f}", "a\n",
    ] {
        assert!(name(bad).is_err(), "{bad}");
    }
}
