//! What a page of another site, a page without a token, and a ticket full of markup can do: nothing.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::json;

use crate::world::{World, delivery};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing() {
    let world = World::open().await;
    world.failing().await;
    world.mend().await;
    let target = format!(
        "{}/console/api/executions/ticket-sync/OPS-4312-closed-7/redrive",
        world.server.api
    );
    let token = crate::server::token(&world.server.data_dir()).expect("a token");
    // Even with a token in its hands, and as the kinds of request that need no permission.
    let page = format!(
        "<!doctype html><title>evil</title><form method=post enctype=text/plain action='{target}'><input name='{{}}'></form><script>
         const tries = [
           fetch('{target}', {{method: 'POST', body: '{{}}', headers: {{'content-type': 'application/json', authorization: 'Bearer {token}'}}}}),
           fetch('{target}', {{method: 'POST', body: '{{}}', mode: 'no-cors'}}),
           fetch('{target}', {{method: 'POST', body: new URLSearchParams('a=b'), credentials: 'include', mode: 'no-cors'}}),
         ];
         Promise.allSettled(tries).then(() => {{ document.documentElement.dataset.ready = 'true'; }});
         </script>"
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let other = listener.local_addr().expect("an address");
    let router = Router::new().route("/", get(move || async move { Html(page) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    for host in ["127.0.0.1", "localhost"] {
        world.browser.go(&format!("http://{host}:{}/", other.port())).await;
        world.browser.run("document.querySelector('form').submit()").await;
        world
            .browser
            .until("the form's answer", "return location.pathname.includes('redrive')")
            .await;
    }
    let execution = world.api("executions/ticket-sync/OPS-4312-closed-7").await;
    assert_eq!(
        (&execution["status"], &execution["redrives"]),
        (&json!("failed"), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_token_asks_for_one_and_keeps_it_for_its_tab() {
    let world = World::open().await;
    world
        .browser
        .go(&format!("{}/console/executions", world.server.api))
        .await;
    world.browser.sees("A token is needed").await;
    let token = crate::server::token(&world.server.data_dir()).expect("a token");
    world.browser.click("dialog textarea").await;
    let keys: Vec<String> = token.chars().map(String::from).collect();
    world
        .browser
        .press(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("No executions yet.").await;
    let kept = "return [sessionStorage.getItem('ticketflow-token') !== null, JSON.stringify(localStorage).includes('eyJ'), document.cookie]";
    assert_eq!(world.browser.run(kept).await, json!([true, false, ""]));
    let answer = world.server.http.get(format!("{}/console/api/about", world.server.api));
    let bare = reqwest::Client::new().execute(answer.build().expect("a request")).await;
    assert_eq!(
        bare.expect("an answer").status(),
        401,
        "its data are behind the authorizer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_what_others_wrote_is_text() {
    let world = World::open().await;
    let markup = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let (status, answer) = world.server.post(&delivery("XSS-1", 666, markup)).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name").to_owned();
    // A name has 80 characters at most.
    let state = "<img src=x onerror=`document.title='owned'`>";
    let definition = json!({"Comment": markup, "StartAt": state, "States": {
        (state): {"Type": "Fail", "Error": markup, "Cause": markup}}});
    world.machine("markup", &definition).await;
    world.start("markup", "one", &json!({"text": markup})).await;
    world.until("markup", "one", "failed").await;
    world.go("executions").await;
    world.browser.sees(markup).await;
    for view in [
        "executions/markup/one",
        "executions/markup/one?view=events",
        "executions/markup/one?view=definition",
    ] {
        world.go(view).await;
        world.browser.sees("onerror=").await;
        let state = "return [document.title === 'owned', document.querySelectorAll('main img, main script').length]";
        assert_eq!(world.browser.run(state).await, json!([false, 0]), "{view}");
    }
    world
        .go(&format!("executions/TicketLifecycle/{name}?state=ValidateTicket"))
        .await;
    world.browser.sees("onerror=").await;
    // Nothing was even tried.
    assert_eq!(world.browser.complaints_of("Content Security").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_does_not_wait_for_open_pages() {
    let mut world = World::open().await;
    world.go("executions").await;
    world.browser.sees("Live").await;
    let begun = std::time::Instant::now();
    let ended = world.server.terminate();
    let well: bool = ended(&mut world.server);
    assert!(
        well && begun.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_the_command_line_brings_a_token_that_stands_in_no_address_and_no_log() {
    let world = World::open().await;
    let mut command = std::process::Command::new(crate::server::ticketflow());
    command.args(["console", "--print", "--url", &world.server.api, "--data-dir"]);
    let output = command.arg(world.server.data_dir()).output().expect("ticketflow runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let link = String::from_utf8(output.stdout).expect("a link is text");
    let (_, token) = link.trim().split_once("#token=").expect("a token behind the link");
    world.browser.go(link.trim()).await;
    world.browser.sees("No executions yet.").await;
    assert_eq!(
        world
            .browser
            .run("return [location.hash, location.search, history.state]")
            .await,
        json!(["", "", null])
    );
    world
        .browser
        .run("document.querySelector('header nav a[href*=metrics]').click()")
        .await;
    world.browser.sees("Ageing of open tickets").await;
    let log = world.server.whole_log();
    assert!(!log.contains(token) && !log.contains("token=eyJ"), "{log}");
}
