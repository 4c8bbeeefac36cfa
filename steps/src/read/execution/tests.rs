use super::*;

fn failed(number: usize, cause: &str) -> Progress {
    Progress {
        name: format!("SHOP-{number}"),
        machine: Machine::TicketLifecycle,
        ticket: None,
        status: Status::Failed,
        redrives: 0,
        started_at: Time::from_millis(1_795_161_600_000 - i64::try_from(number).unwrap()).unwrap(),
        stopped_at: None,
        error: Some("Failed".to_owned()),
        cause: Some(cause.to_owned()),
        steps: Vec::new(),
    }
}

fn view(progress: Progress) -> View {
    View::recorded(
        progress,
        "arn:aws:states:us-west-2:000000000000:execution:TicketLifecycle:SHOP-1".to_owned(),
    )
}

#[test]
fn a_page_of_long_causes_is_cut_where_the_answer_is_full_and_goes_on_there() {
    // The longest that Step Functions keeps, nothing but quotes: each is four bytes on its way.
    let cause = "\"".repeat(32_768);
    let all = |from: usize| Page {
        items: (from..200).map(|number| failed(number, &cause)).collect(),
        next: Some("the end".to_owned()),
    };
    let (mut shown, mut pages) = (0, 0);
    loop {
        let page = fitting(all(shown), view);
        let response = Response::json(200, &page.items);
        assert!(serde_json::to_string(&response).unwrap().len() < 6_000_000);
        let last = shown + page.items.len() - 1;
        assert_eq!(page.items[0].name, format!("SHOP-{shown}"));
        shown += page.items.len();
        pages += 1;
        if shown == 200 {
            assert_eq!(page.next.as_deref(), Some("the end"));
            break;
        }
        assert_eq!(page.next, Some(failed(last, &cause).place()));
    }
    assert!((2..10).contains(&pages), "{pages}");
    let short = Page {
        items: vec![failed(1, "short")],
        next: None,
    };
    assert_eq!(
        (fitting(short.clone(), view).items.len(), fitting(short, view).next),
        (1, None)
    );
}
