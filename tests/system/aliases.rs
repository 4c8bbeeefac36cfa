//! `AutoPublishAlias` of a template's state machine: each change of its definition is a version, and the alias leads to
//! the last.

use aws_sdk_sfn::Client;

use crate::project::{Project, STATE_MACHINE};
use crate::server::Server;

/// Where the alias leads, and with what weight.
async fn routes(states: &Client, alias: &str) -> Vec<(String, i32)> {
    let described = states
        .describe_state_machine_alias()
        .state_machine_alias_arn(alias)
        .send()
        .await;
    let described = described.expect("the alias is there");
    let routes = described.routing_configuration().iter();
    routes
        .map(|route| (route.state_machine_version_arn().to_owned(), route.weight()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_is_published_under_the_alias_of_the_template() {
    let uri = format!("DefinitionUri: {STATE_MACHINE}");
    let aliased = format!("{uri}\n      AutoPublishAlias: live");
    let project = Project::copy().change("template.yaml", &uri, &aliased);
    let mut server = Server::start_with(&["--template", &project.template()]);
    let states = server.states().await;
    let machine = server.machine(&states, "TicketLifecycle").await;
    let alias = format!("{machine}:live");
    assert_eq!(routes(&states, &alias).await, [(format!("{machine}:1"), 100)]);
    let started = states
        .start_execution()
        .state_machine_arn(&alias)
        .input("{}")
        .send()
        .await;
    let started = started.expect("it starts by the alias");

    server.kill();
    server.restart();
    let states = server.states().await;
    assert_eq!(
        routes(&states, &alias).await,
        [(format!("{machine}:1"), 100)],
        "nothing has changed"
    );

    let _project = project.change(STATE_MACHINE, "One event of a ticket's life.", "One event.");
    server.kill();
    server.restart();
    let states = server.states().await;
    assert_eq!(routes(&states, &alias).await, [(format!("{machine}:2"), 100)]);
    let described = states
        .describe_execution()
        .execution_arn(started.execution_arn())
        .send()
        .await;
    let described = described.expect("the execution is there");
    assert_eq!(
        described.state_machine_version_arn(),
        Some(format!("{machine}:1").as_str())
    );
    assert_eq!(described.state_machine_alias_arn(), Some(alias.as_str()));
}
