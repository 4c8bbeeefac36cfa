//! Targets on the running program: clocks that wait, are killed, reopened and moved, and what a breach tells.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::project::Project;
use crate::server::Server;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A template whose rule for breaches starts a state machine: each event is an execution, and its input.
fn with_a_pager() -> Project {
    Project::copy().change(
        "template.yaml",
        "  # ------------------------------------------------------------ the due moments\n",
        r#"  Pager:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: { StartAt: Page, States: { Page: { Type: Pass, End: true } } }
      Role: !Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:role/pager
      Events:
        Breach:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [ticketflow]
              detail-type: [Ticket SLA Breached]
              detail:
                target: [close]
                told_after_ms: [{ numeric: ["<", 86400000] }]
"#,
    )
}

fn arguments(project: &Project, policy: &Value, more: &[&str]) -> Vec<String> {
    let fixed = [
        "--template".to_owned(),
        project.template(),
        "--parameter".to_owned(),
        format!("Policy={policy}"),
    ];
    fixed
        .into_iter()
        .chain(more.iter().map(|argument| (*argument).to_owned()))
        .collect()
}

fn start(arguments: &[String]) -> Server {
    Server::start_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn restart(server: &mut Server, arguments: &[String]) {
    server.restart_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

/// To the millisecond, as everything here counts.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).expect("a moment")
}

fn text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Waits for the end of the execution that an answer names; the ticket's id.
async fn done(server: &Server, answer: &Value) -> String {
    server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    answer["ticket"].as_str().expect("an id").to_owned()
}

/// A ticket of this moment; its id.
async fn create(server: &Server, summary: &str, created: DateTime<Utc>) -> String {
    let body = json!({"summary": summary, "created": text(created), "completed": "", "priority": "High"});
    let (status, answer) = server.post(body.to_string().as_bytes()).await;
    assert_eq!(status, 202, "{answer}");
    done(server, &answer).await
}

async fn change(server: &Server, id: &str, body: Value) {
    let request = server.http.patch(format!("{}/tickets/{id}", server.api));
    let answer = request.body(body.to_string()).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    done(server, &answer).await;
}

/// The ticket's clock for closing.
async fn close(server: &Server, id: &str) -> Value {
    let (status, ticket) = server.get(&format!("/tickets/{id}")).await;
    assert_eq!(status, 200, "{ticket}");
    let sla = ticket["sla"].as_array().expect("a list").clone();
    let close = sla.into_iter().find(|clock| clock["target"] == "close");
    close.unwrap_or_else(|| panic!("no clock in {ticket}"))
}

/// Name and status of a state machine's executions, and the input of each.
async fn executions(server: &Server, machine: &str) -> Vec<(String, String, Value)> {
    let states = server.states().await;
    let arn = format!("arn:aws:states:us-west-2:000000000000:stateMachine:{machine}");
    let listed = states
        .list_executions()
        .state_machine_arn(arn)
        .send()
        .await
        .expect("its executions");
    let mut executions = Vec::new();
    for execution in listed.executions() {
        let described = states
            .describe_execution()
            .execution_arn(execution.execution_arn())
            .send()
            .await;
        let input = described.expect("the execution").input.unwrap_or_default();
        let input = serde_json::from_str(&input).expect("its input is JSON");
        executions.push((
            execution.name().to_owned(),
            execution.status().as_str().to_owned(),
            input,
        ));
    }
    executions
}

/// Waits until no clock runs any more; what was told by then.
async fn told(server: &Server) -> Vec<Value> {
    server
        .until("the clocks to end and what they tell to arrive", || async {
            let clocks = executions(server, "SlaClock").await;
            let failed: Vec<_> = clocks.iter().filter(|(_, status, _)| status == "FAILED").collect();
            assert!(failed.is_empty(), "{failed:?}\n{}", server.log());
            clocks.iter().all(|(_, status, _)| status == "SUCCEEDED").then_some(())
        })
        .await;
    // Of what clocks told, the rule's deliveries are owed until they are made.
    let pages = server
        .until("the pages to be made", || async {
            let pages = executions(server, "Pager").await;
            (!pages.is_empty()).then_some(pages)
        })
        .await;
    pages.into_iter().map(|(_, _, event)| event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_outlives_a_crash_and_its_breach_is_told_once() {
    let project = with_a_pager();
    let policy = json!({"sla": [{"priority": "High", "close": "2d"}]});
    let mut server = start(&arguments(&project, &policy, &[]));
    let created = now();
    let late = create(&server, "Left alone", created).await;
    let kept = create(&server, "Done at once", created).await;
    change(&server, &kept, json!({"completed": text(now())})).await;
    let clock = close(&server, &late).await;
    assert_eq!(clock["due_at"], json!(text(created + 2 * DAY)), "{clock}");
    assert_eq!(clock["target_ms"], json!(DAY.as_millis() as u64 * 2));
    assert_eq!(
        (&clock["breached"], &clock["breached_at"]),
        (&json!(false), &Value::Null)
    );
    let before = executions(&server, "SlaClock").await;
    assert_eq!(before.len(), 2, "{before:?}");
    assert!(before.iter().all(|(_, status, _)| status == "RUNNING"), "{before:?}");

    // An edit changes nothing of the targets, and starts nothing.
    change(&server, &late, json!({"description": "Still alone"})).await;
    assert_eq!(executions(&server, "SlaClock").await.len(), 2);

    server.kill();
    restart(&mut server, &arguments(&project, &policy, &["--time-skip"]));
    let told = told(&server).await;
    let event = &told[0];
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&event["source"], &event["detail-type"]),
        (&json!("ticketflow"), &json!("Ticket SLA Breached"))
    );
    let detail = &event["detail"];
    assert_eq!((&detail["ticket"], &detail["target"]), (&json!(late), &json!("close")));
    assert_eq!(detail["id"], json!(format!("{late}/close.0.calendar.172800000")));
    assert_eq!(detail["due_at"], json!(text(created + 2 * DAY)));

    let clock = close(&server, &late).await;
    assert_eq!(
        (&clock["breached"], &clock["breached_at"]),
        (&json!(true), &clock["due_at"]),
        "{clock}"
    );
    let clock = close(&server, &kept).await;
    assert_eq!(clock["breached"], false, "{clock}");
    assert!(clock["met_at"].is_string(), "{clock}");
    let (_, history) = server.get(&format!("/tickets/{late}/history")).await;
    assert_eq!(history["breaches"].as_array().map(Vec::len), Some(1), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_ticket_has_a_clock_of_its_own_and_the_one_before_ends_quietly() {
    let project = with_a_pager();
    let policy = json!({"sla": [{"close": "3d"}]});
    let mut server = start(&arguments(&project, &policy, &[]));
    let created = now() - DAY;
    let id = create(&server, "Not quite done", created).await;
    let first = close(&server, &id).await;
    assert_eq!(first["due_at"], json!(text(created + 3 * DAY)));
    change(&server, &id, json!({"completed": text(now())})).await;
    assert!(close(&server, &id).await["met_at"].is_string());
    change(&server, &id, json!({"completed": ""})).await;
    let second = close(&server, &id).await;
    assert_eq!(second["met_at"], Value::Null, "{second}");
    assert!(
        first["due_at"].as_str() < second["due_at"].as_str(),
        "{second} after {first}"
    );
    let clocks = executions(&server, "SlaClock").await;
    let runs: Vec<&Value> = clocks.iter().map(|(_, _, input)| &input["run"]).collect();
    assert!(
        runs.len() == 2 && runs.contains(&&json!(0)) && runs.contains(&&json!(1)),
        "{clocks:?}"
    );

    server.kill();
    restart(&mut server, &arguments(&project, &policy, &["--time-skip"]));
    let told = told(&server).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0]["detail"]["id"],
        json!(format!("{id}/close.1.calendar.259200000"))
    );
    assert_eq!(told[0]["detail"]["due_at"], second["due_at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_moment_in_the_past_is_told_at_once_and_without_targets_there_are_no_clocks() {
    let project = with_a_pager();
    let policy = json!({"sla": [{"priority": "High", "close": "30m"}]});
    let server = start(&arguments(&project, &policy, &[]));
    let created = now() - Duration::from_secs(3_600);
    let id = create(&server, "Late before it came", created).await;
    let told = told(&server).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["detail"]["ticket"], json!(id));
    assert_eq!(close(&server, &id).await["breached"], true);

    let body = json!({"summary": "No hurry", "created": text(created), "completed": "", "priority": "Low"});
    let (_, answer) = server.post(body.to_string().as_bytes()).await;
    let id = done(&server, &answer).await;
    let (_, ticket) = server.get(&format!("/tickets/{id}")).await;
    assert_eq!(ticket["sla"], json!([]), "{ticket}");
    assert_eq!(executions(&server, "SlaClock").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_are_tightened_reach_tickets_that_wait() {
    let project = with_a_pager();
    let mut server = start(&arguments(&project, &json!({"sla": [{"close": "5d"}]}), &[]));
    let created = now();
    let id = create(&server, "Nobody said hurry", created).await;
    assert_eq!(close(&server, &id).await["due_at"], json!(text(created + 5 * DAY)));

    server.kill();
    let policy = json!({"sla": [{"close": "2d"}]});
    restart(&mut server, &arguments(&project, &policy, &[]));
    let request = server.http.post(format!("{}/recompute", server.api));
    assert!(request.send().await.expect("an answer").status().is_success());
    server
        .until("the ticket to be recomputed", || async {
            let clock = close(&server, &id).await;
            (clock["due_at"] == json!(text(created + 2 * DAY))).then_some(())
        })
        .await;

    server.kill();
    restart(&mut server, &arguments(&project, &policy, &["--time-skip"]));
    let told = told(&server).await;
    assert_eq!(told.len(), 1, "{told:?}");
    // The earlier moment was not missed: it was told before the timer of the later one fired.
    let detail = &told[0]["detail"];
    assert_eq!(detail["due_at"], json!(text(created + 2 * DAY)));
    let told_after = detail["told_after_ms"].as_u64().expect("a number");
    assert!(told_after < DAY.as_millis() as u64, "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_failed_are_shown_and_go_on_and_no_breach_is_lost() {
    // A route beside its schedule, so that nobody waits for five minutes.
    let route = "        Now:
          Type: HttpApi
          Properties:
            ApiId: !Ref Api
            Method: POST
            Path: /sweep
";
    let schedule = "        EveryFiveMinutes:\n";
    let project = || with_a_pager().change("template.yaml", schedule, &format!("{route}{schedule}"));
    let broken = project().function("sla-clock", "", &[("TABLE_NAME", "NoSuchTable")]);
    let policy = json!({"sla": [{"close": "30m"}]});
    let mut server = start(&arguments(&broken, &policy, &[])).may_refuse();
    // Of two the moment has passed, and their clocks fail when they look; that of the third is aborted as it waits.
    let late = now() - Duration::from_secs(3_600);
    let swept = create(&server, "Late", late).await;
    let redriven = create(&server, "Late as well", late).await;
    let waiting = create(&server, "In time yet", now()).await;
    let clock = async |server: &Server, id: &str| {
        let clocks = executions(server, "SlaClock").await;
        let own = clocks.into_iter().find(|(_, _, input)| input["ticket"] == id);
        own.map(|(name, ..)| name).expect("its clock")
    };
    let aborted = clock(&server, &waiting).await;
    let arn = format!("arn:aws:states:us-west-2:000000000000:execution:SlaClock:{aborted}");
    let stopped = server.states().await.stop_execution().execution_arn(arn).send().await;
    stopped.expect("it is stopped");

    for (id, status, error) in [
        (&swept, "FAILED", json!("TableRefused")),
        (&redriven, "FAILED", json!("TableRefused")),
        (&waiting, "ABORTED", Value::Null),
    ] {
        let name = clock(&server, id).await;
        let told = || async {
            let (_, page) = server.get(&format!("/executions?status={status}")).await;
            let listed = page["executions"].as_array().expect("a list");
            listed
                .iter()
                .find(|execution| execution["name"] == name.as_str())
                .cloned()
        };
        let execution = server.until("the failed clock to be listed", told).await;
        assert_eq!(
            (&execution["machine"], &execution["ticket"], &execution["error"]),
            (&json!("sla_clock"), &json!(id), &error),
            "{execution}"
        );
        assert_eq!(server.execution(&name, status).await, execution);
        // It is the clock that failed, and not what happened to the ticket.
        let (_, ticket) = server.get(&format!("/tickets/{id}")).await;
        assert_eq!(ticket["workflow_status"], "SUCCEEDED", "{ticket}");
        assert_eq!(close(&server, id).await["breached"], id != &waiting);
    }
    assert_eq!(executions(&server, "Pager").await, []);

    server.kill();
    let sound = project();
    restart(&mut server, &arguments(&sound, &policy, &[]));
    let name = clock(&server, &redriven).await;
    let request = server.http.post(format!("{}/executions/{name}/redrive", server.api));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.json::<Value>().await.expect("JSON")["attempts"], 2);
    // Nobody records how it goes on: that is asked of Step Functions.
    let execution = server.execution(&name, "SUCCEEDED").await;
    assert_eq!(
        (&execution["machine"], &execution["attempts"]),
        (&json!("sla_clock"), &json!(2))
    );

    let sweep = async |server: &Server| -> Value {
        let request = server.http.post(format!("{}/sweep", server.api));
        request.send().await.expect("an answer").json().await.expect("JSON")
    };
    let answer = sweep(&server).await;
    assert_eq!(
        (&answer["seen"], &answer["redriven"]),
        (&json!(2), &json!(2)),
        "{answer}"
    );
    server.execution(&clock(&server, &swept).await, "SUCCEEDED").await;
    let execution = server.execution(&aborted, "RUNNING").await;
    assert_eq!(execution["attempts"], 2, "{execution}");
    assert_eq!(sweep(&server).await["redriven"], 0);
    for status in ["FAILED", "ABORTED", "RUNNING"] {
        let (_, page) = server.get(&format!("/executions?status={status}")).await;
        assert_eq!(page["executions"], json!([]), "{status}");
    }

    server.kill();
    restart(&mut server, &arguments(&sound, &policy, &["--time-skip"]));
    told(&server).await;
    let pages = || async { Some(executions(&server, "Pager").await).filter(|pages| 3 <= pages.len()) };
    let pages = server.until("three pages", pages).await;
    let told = pages
        .iter()
        .filter_map(|(_, _, event)| event["detail"]["ticket"].as_str());
    let mut told: Vec<&str> = told.collect();
    told.sort_unstable();
    let mut expected = [&swept, &redriven, &waiting].map(String::as_str);
    expected.sort_unstable();
    assert_eq!(told, expected, "each is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn working_hours_count_and_another_calendar_moves_the_due_moment() {
    let project = with_a_pager();
    let days = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    let policy = |hours: &str| {
        json!({
            "calendar": {"zone": "UTC", "days": days, "hours": [hours]},
            "sla": [{"close": "36h", "time": "business"}],
        })
    };
    let mut server = start(&arguments(&project, &policy("00:00-24:00"), &[]));
    let created = now();
    let id = create(&server, "Within three working days", created).await;
    let clock = close(&server, &id).await;
    let all_hours = created + Duration::from_secs(36 * 3_600);
    assert_eq!(
        (&clock["due_at"], &clock["time"]),
        (&json!(text(all_hours)), &json!("business")),
        "{clock}"
    );

    server.kill();
    let half_days = policy("00:00-12:00");
    restart(&mut server, &arguments(&project, &half_days, &[]));
    let request = server.http.post(format!("{}/recompute", server.api));
    assert!(request.send().await.expect("an answer").status().is_success());
    let later = server
        .until("the due moment to move", || async {
            let clock = close(&server, &id).await;
            (clock["due_at"] != json!(text(all_hours))).then_some(clock)
        })
        .await;
    let due: DateTime<Utc> = later["due_at"]
        .as_str()
        .and_then(|due| due.parse().ok())
        .expect("a moment");
    let waits = (due - created).num_hours();
    assert!((60..84).contains(&waits), "three mornings take {waits} h: {later}");

    // The timer of the first calendar fires before, and waits for the second one's moment.
    server.kill();
    restart(&mut server, &arguments(&project, &half_days, &["--time-skip"]));
    let told = told(&server).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let detail = &told[0]["detail"];
    assert_eq!(
        (&detail["due_at"], &detail["time"]),
        (&later["due_at"], &json!("business")),
        "{detail}"
    );
}
