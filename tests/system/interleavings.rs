//! Two executions of one ticket at once: StoreTicket and DetectClosure of each, as the processes they are, on the real
//! table, in every order in which their requests to it may come.
//!
//! A listener before the table holds every request until it is its worker's turn. So an order is chosen, and not
//! hoped for; after a run the last choice that has another way is taken the other way, until there is none.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use ticket::categories::Teacher;
use ticket::{Categories, Delivery, Fact, Policy, SiteId, TicketEvent, TicketView, jira};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::deliveries::Issue;
use crate::server::{Server, ticketflow};

/// The largest body there is: a transaction of a whole event.
const MAX_BODY: usize = 1 << 20;

/// Attempts of a state before its Retrier would give up; a worker that loses every time may need some.
const ATTEMPTS: u32 = 8;

/// More requests than two workers make.
const MOST_REQUESTS: usize = 100;

/// What a worker does next.
enum Move {
    /// It asks the table, and is answered once it may.
    Asks(usize, oneshot::Sender<()>),
    Ends(usize),
}

#[derive(Clone)]
struct Door {
    worker: usize,
    moves: mpsc::UnboundedSender<Move>,
    table: String,
    http: reqwest::Client,
}

/// Passes a request on when it is its turn.
async fn pass(State(door): State<Door>, request: Request) -> Response {
    let (turn, granted) = oneshot::channel();
    let answer = async {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let is_asked = door.moves.send(Move::Asks(door.worker, turn)).is_ok();
        if !is_asked || granted.await.is_err() {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let request = door
            .http
            .post(&door.table)
            .headers(forwarded(&parts.headers))
            .body(body);
        let answered = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let (status, headers) = (answered.status(), answered.headers().clone());
        let body = answered.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let mut response = Response::new(Body::from(body));
        (*response.status_mut(), *response.headers_mut()) = (status, forwarded(&headers));
        Ok(response)
    };
    answer.await.unwrap_or_else(|status: StatusCode| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response
    })
}

/// All headers but those of the connection itself.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for own in ["host", "content-length", "transfer-encoding", "connection"] {
        headers.remove(own);
    }
    headers
}

/// A function as its own process, and the Runtime API it lives by.
struct Function {
    process: Child,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Result<Value, Value>>,
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

type Lifeline = Arc<(Mutex<mpsc::Receiver<Value>>, mpsc::Sender<Result<Value, Value>>)>;

/// `GET …/invocation/next`, `POST …/{id}/response` and `POST …/{id}/error`.
async fn live(State(lifeline): State<Lifeline>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.ends_with("/next") {
        let event = lifeline.0.lock().await.recv().await.unwrap_or_default();
        return Response::builder()
            .header("lambda-runtime-aws-request-id", "1")
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-west-2:0:function:f",
            )
            .body(Body::from(event.to_string()))
            .expect("a response");
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY)
        .await
        .unwrap_or_else(|_| Bytes::new());
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = if path.ends_with("/response") {
        Ok(answer)
    } else {
        Err(answer)
    };
    let _ = lifeline.1.send(answer).await;
    let mut response = Response::new(Body::from("{}"));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

impl Function {
    async fn start(programs: &Path, binary: &str, table: &str) -> Self {
        let ((events, coming), (given, answers)) = (mpsc::channel(1), mpsc::channel(1));
        let lifeline: Lifeline = Arc::new((Mutex::new(coming), given));
        let api = serve(Router::new().fallback(live).with_state(lifeline)).await;
        let process = Command::new(programs.join(binary))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", binary),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "test"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "test"),
                ("AWS_REGION", "us-west-2"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", &format!("http://{table}")),
                ("TABLE_NAME", "Tickets"),
                // No target is configured, so that no timer is started.
                (
                    "SLA_CLOCK_ARN",
                    "arn:aws:states:us-west-2:000000000000:stateMachine:SlaClock",
                ),
                ("POLICY", "{}"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the function starts");
        Self {
            process,
            events,
            answers,
        }
    }

    async fn invoke(&mut self, event: Value) -> Result<Value, Value> {
        self.events.send(event).await.expect("the function lives");
        self.answers.recv().await.expect("the function answers")
    }
}

/// The functions of one execution, at the table through a door of its own.
struct Worker {
    store: Function,
    detect: Function,
}

impl Worker {
    /// The execution of an event, from StoreTicket to DetectClosure, each retried as its Retrier would.
    async fn run(&mut self, name: String, event: &TicketEvent) {
        let state = |name: &str| json!({ "Name": name, "EnteredTime": "2026-11-20T09:00:00.000Z", "RetryCount": 0 });
        let execution = json!({ "Name": name, "StartTime": "2026-11-20T09:00:00.000Z", "Input": event });
        let mut stored = Value::Null;
        for (function, name) in [(&mut self.store, "StoreTicket"), (&mut self.detect, "DetectClosure")] {
            for attempt in 1.. {
                let input = json!({ "execution": execution, "state": state(name), "stored": stored });
                match function.invoke(input).await {
                    Ok(output) => {
                        stored = output;
                        break;
                    }
                    Err(error) => {
                        let is_retried = ["TicketContended", "TableUnavailable"].map(Value::from);
                        assert!(
                            is_retried.contains(&error["errorType"]) && attempt < ATTEMPTS,
                            "{name}: {error}"
                        );
                    }
                }
            }
        }
    }
}

struct Stage {
    server: Server,
    table: aws_sdk_dynamodb::Client,
    doors: [mpsc::UnboundedSender<Move>; 2],
    moves: mpsc::UnboundedReceiver<Move>,
    workers: [Worker; 2],
    /// The site's map, as the events so far have taught it.
    known: Categories,
}

impl Stage {
    async fn set() -> Self {
        let server = Server::start();
        let programs = ticketflow().parent().expect("a folder").to_owned();
        let (sender, moves) = mpsc::unbounded_channel();
        let mut workers = Vec::new();
        for worker in 0..2 {
            let door = Door {
                worker,
                moves: sender.clone(),
                table: server.aws.clone(),
                http: reqwest::Client::new(),
            };
            let table = serve(Router::new().fallback(pass).with_state(door)).await;
            workers.push(Worker {
                store: Function::start(&programs, "store", &table).await,
                detect: Function::start(&programs, "detect-closure", &table).await,
            });
        }
        let workers: [Worker; 2] = workers.try_into().unwrap_or_else(|_| panic!("two workers"));
        Self {
            table: crate::recompute::table(&server).await,
            server,
            doors: [sender.clone(), sender],
            moves,
            workers,
            known: Categories::default(),
        }
    }

    /// Runs both events' executions, taking turns as `choices` says and the first where it says nothing; adds what it
    /// chose.
    async fn run(&mut self, round: &str, events: &[TicketEvent; 2], choices: &mut Vec<usize>) {
        let [first, second] = &mut self.workers;
        let [first_door, second_door] = &self.doors;
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        let play = async {
            tokio::join!(
                async {
                    first.run(one, &events[0]).await;
                    let _ = first_door.send(Move::Ends(0));
                },
                async {
                    second.run(other, &events[1]).await;
                    let _ = second_door.send(Move::Ends(1));
                }
            )
        };
        let conduct = async {
            let mut waiting: [Option<oneshot::Sender<()>>; 2] = [None, None];
            let mut has_ended = [false, false];
            let mut chosen = 0;
            while has_ended != [true, true] {
                // Until each has asked or ended, it is not known who could be next.
                while (0..2).any(|worker| !has_ended[worker] && waiting[worker].is_none()) {
                    match self.moves.recv().await.expect("the doors are open") {
                        Move::Asks(worker, turn) => waiting[worker] = Some(turn),
                        Move::Ends(worker) => has_ended[worker] = true,
                    }
                }
                let next = match (&waiting[0], &waiting[1]) {
                    (None, None) => break,
                    (Some(_), None) => 0,
                    (None, Some(_)) => 1,
                    (Some(_), Some(_)) => {
                        if chosen == choices.len() {
                            choices.push(0);
                        }
                        chosen += 1;
                        choices[chosen - 1]
                    }
                };
                let turn = waiting[next].take().expect("it waits");
                let _ = turn.send(());
            }
        };
        tokio::join!(play, conduct);
    }

    /// Plays all orders; how many there were. The events get a ticket of their own each time, on a site whose statuses
    /// are known, as they are of all but its first tickets.
    async fn play_all(&mut self, events: [TicketEvent; 2], label: &str) -> usize {
        let mut choices = Vec::new();
        let facts = events.iter().flat_map(|event| &event.facts);
        self.known = self
            .known
            .taught(facts, Teacher::Body)
            .unwrap_or_else(|| self.known.clone());
        let of = |round: String| {
            events.clone().map(|event| TicketEvent {
                issue: format!("{label}-{round}").parse().expect("an issue id"),
                ..event
            })
        };
        self.run(
            &format!("{label}-first"),
            &of("first".to_owned()),
            &mut vec![0; MOST_REQUESTS],
        )
        .await;
        let mut rounds = 0;
        loop {
            let of_round = of(rounds.to_string());
            self.run(&format!("{label}-{rounds}"), &of_round, &mut choices).await;
            self.check(&of_round, &choices).await;
            rounds += 1;
            while choices.last() == Some(&1) {
                choices.pop();
            }
            match choices.last_mut() {
                Some(last) => *last = 1,
                None => return rounds,
            }
        }
    }

    /// The stored ticket is the fold of all facts, by the policy and the site's map as it is.
    async fn check(&self, events: &[TicketEvent; 2], choices: &[usize]) {
        let policy = &Policy::default();
        let id = events[0].ticket();
        let facts: Vec<Fact> = events.iter().flat_map(|event| event.facts.clone()).collect();
        let expected = ticket::fold(&facts, policy, &self.known);
        let item = self.item(&format!("TICKET#{id}"), "FOLD").await;
        let item = item.unwrap_or_else(|| panic!("no fold after {choices:?}"));
        let number = |name: &str| item[name].as_n().expect("a number").parse::<u64>().expect("a number");
        let seen = ["fact_count", "policy_version", "map_version"].map(number);
        let map_version = self.map_version(&id.site).await;
        assert_eq!(
            seen,
            [expected.fact_count as u64, u64::from(policy.version), map_version],
            "after {choices:?}"
        );
        let (status, shown) = self.server.get(&format!("/tickets/{id}")).await;
        assert_eq!(status, 200, "{shown}");
        let view = serde_json::to_value(TicketView::new(&id, &expected, &events[1].texts)).expect("JSON");
        for field in [
            "state",
            "status",
            "started_at",
            "closed_at",
            "first_closed_at",
            "reopen_count",
            "flags",
        ] {
            assert_eq!(shown[field], view[field], "{field} after {choices:?}");
        }
    }

    async fn map_version(&self, site: &SiteId) -> u64 {
        let item = self.item(&format!("SITE#{site}"), "CATEGORIES").await.expect("a map");
        let map = item["categories"].as_m().expect("a map");
        map["version"].as_n().expect("a number").parse().expect("a number")
    }

    async fn item(&self, partition: &str, sort: &str) -> Option<HashMap<String, AttributeValue>> {
        let request = self.table.get_item().table_name("Tickets").consistent_read(true);
        let request = request.key("pk", AttributeValue::S(partition.to_owned()));
        let request = request.key("sk", AttributeValue::S(sort.to_owned()));
        request.send().await.expect("the table answers").item
    }
}

fn event(body: &[u8]) -> TicketEvent {
    match jira::read(body).expect("a delivery") {
        Delivery::Event(event) => event,
        Delivery::Ignored { reason } => panic!("{reason}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_order_of_their_requests_two_executions_leave_the_whole_ticket() {
    let mut stage = Stage::set().await;
    let issue = Issue { number: 1 };
    let (started, resolved) = (event(&issue.started(60_000)), event(&issue.resolved(600_000)));
    let orders = stage.play_all([started, resolved.clone()], "two").await;
    // Each makes at least four requests, and eight can be mixed in 70 ways.
    assert!(70 <= orders, "only {orders} orders");
    let orders = stage.play_all([resolved.clone(), resolved], "same").await;
    assert!(70 <= orders, "only {orders} orders");
}
