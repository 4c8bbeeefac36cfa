//! `AWS::Serverless::HttpApi` and the routes that functions declare by their `HttpApi` events.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Cors, HttpApi, IdentitySource, JwtAuthorizer, LogicalId, Route, RouteAuthorizer, RouteKey, Throttle,
    loader::Context,
    names::{API_ID, IMPLICIT_API, Kind},
    node::{Entry, Node, Position, Value},
    properties::Properties,
    resolver::{Resolver, Resource},
};

/// The longest that API Gateway waits for a function, and how long it waits if it is not told.
const MAX_INTEGRATION_MS: u32 = 30_000;

const IGNORED: [&str; 9] = [
    "AccessLogSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "Domain",
    "FailOnWarnings",
    "Name",
    "PropagateTags",
    "Tags",
    "Metadata",
];

/// A route as a function's event declares it, before the API's own settings are known.
pub(super) struct DeclaredRoute {
    at: Position,
    key: RouteKey,
    function: String,
    timeout: Duration,
    /// `Some("NONE")` turns the default authorizer off.
    authorizer: Option<String>,
    scopes: Option<Vec<String>>,
    throttle: Option<Throttle>,
    /// The API's id, if the event names an API.
    api: Option<String>,
}

impl DeclaredRoute {
    pub(super) fn read(mut event: Properties<'_>, function: &str, at: Position) -> Option<DeclaredRoute> {
        let path_at = event.position_of("Path");
        let path = event.text("Path");
        let method = event.text("Method");
        let api = event.text("ApiId");
        event.one_of("PayloadFormatVersion", &["2.0"]);
        let timeout = event
            .integer("TimeoutInMillis", 50..=MAX_INTEGRATION_MS)
            .unwrap_or(MAX_INTEGRATION_MS);
        let throttle = event.inner("RouteSettings").and_then(throttle);
        let (mut authorizer, mut scopes) = (None, None);
        if let Some(mut auth) = event.inner("Auth") {
            auth.ignore(&["InvokeRole"]);
            authorizer = auth.text("Authorizer");
            scopes = auth.texts("AuthorizationScopes");
            auth.finish();
        }
        let key = match (path, method) {
            (None, None) => Some(RouteKey::Default),
            (Some(path), Some(method)) => match RouteKey::parse(&method, &path) {
                Ok(key) => Some(key),
                Err(message) => {
                    event.report(path_at, message);
                    None
                }
            },
            _ => {
                event.report(at, "Path and Method need each other");
                None
            }
        };
        event.finish();
        let timeout = Duration::from_millis(timeout.into());
        Some(DeclaredRoute {
            at,
            key: key?,
            function: function.to_owned(),
            timeout,
            authorizer,
            scopes,
            throttle,
            api,
        })
    }
}

/// The API with all its routes; `None` if there is neither an API nor a route.
pub(super) fn read(root: &Node, context: &Context<'_>, declared: Vec<DeclaredRoute>) -> Option<HttpApi> {
    let resolver = context.resolver;
    let mut apis = resolver
        .resources()
        .filter(|it| it.kind == Kind::HttpApi && resolver.exists(it));
    let explicit = apis.next();
    for second in apis {
        resolver.report(second.at, format!("{}: a second HTTP API is not supported", second.id));
    }
    if explicit.is_none() && declared.is_empty() {
        return None;
    }
    if let Some(explicit) = explicit {
        for route in declared.iter().filter(|route| route.api.is_none()) {
            let message = format!(
                "without ApiId this route belongs to an API beside {}: a second one",
                explicit.id
            );
            resolver.report(route.at, format!("{message} is not supported"));
        }
    }
    for route in declared
        .iter()
        .filter(|route| route.api.as_deref().is_some_and(|id| id != API_ID))
    {
        resolver.report(route.at, "ApiId is not the id of an API of this template");
    }
    let (id, properties) = match explicit {
        Some(Resource { id, properties, .. }) => (*id, properties.clone()),
        None => {
            let globals = root.get("Globals").and_then(|globals| globals.get("HttpApi")).cloned();
            let nothing = Node {
                at: Position::START,
                value: Value::Map(Vec::new()),
            };
            (IMPLICIT_API, globals.unwrap_or(nothing))
        }
    };
    Some(api(id, &properties, resolver, declared))
}

fn api(id: &str, properties: &Node, resolver: &Resolver<'_>, declared: Vec<DeclaredRoute>) -> HttpApi {
    let mut properties = Properties::new(resolver, id, properties);
    properties.ignore(&IGNORED);
    properties.one_of("StageName", &["$default"]);
    let stage_variables = stage_variables(&mut properties);
    let cors = cors(&mut properties, resolver, id);
    let auth = properties
        .inner("Auth")
        .map(|it| auth(it, resolver))
        .unwrap_or_default();
    let standard = properties.inner("DefaultRouteSettings").and_then(throttle);
    let mut settings = BTreeMap::new();
    for entry in properties
        .inner("RouteSettings")
        .map(Properties::into_entries)
        .unwrap_or_default()
    {
        let name = format!("{id}, RouteSettings, {}", entry.key);
        settings.insert(
            entry.key.clone(),
            (entry.at, throttle(Properties::new(resolver, name, &entry.value))),
        );
    }
    properties.finish();

    let mut routes: Vec<Route> = Vec::new();
    for route in declared {
        let key = route.key.to_string();
        if routes.iter().any(|known| known.key.to_string() == key) {
            resolver.report(route.at, format!("the route {key} is there twice"));
            continue;
        }
        let own = settings.remove(&key).and_then(|(_, throttle)| throttle);
        routes.push(Route {
            authorizer: authorizer(&route, &auth, resolver),
            throttle: route.throttle.or(own).or(standard),
            key: route.key,
            function: route.function,
            timeout: route.timeout,
        });
    }
    for (key, (at, _)) in settings {
        resolver.report(at, format!("{id}, RouteSettings: there is no route {key}"));
    }
    HttpApi {
        logical_id: LogicalId(id.to_owned()),
        id: API_ID.to_owned(),
        stage_variables,
        cors,
        authorizers: auth
            .authorizers
            .into_iter()
            .map(|(name, known)| (name, known.authorizer))
            .collect(),
        routes,
    }
}

fn authorizer(route: &DeclaredRoute, auth: &Auth, resolver: &Resolver<'_>) -> Option<RouteAuthorizer> {
    let name = route
        .authorizer
        .as_ref()
        .or(auth.default.as_ref())
        .filter(|name| *name != "NONE")?;
    let Some(known) = auth.authorizers.get(name) else {
        resolver.report(route.at, format!("there is no authorizer {name}"));
        return None;
    };
    let scopes = route.scopes.clone().unwrap_or_else(|| known.scopes.clone());
    Some(RouteAuthorizer {
        name: name.clone(),
        scopes,
    })
}

fn throttle(mut settings: Properties<'_>) -> Option<Throttle> {
    settings.ignore(&["DataTraceEnabled", "DetailedMetricsEnabled", "LoggingLevel"]);
    let throttle = Throttle {
        rate: settings.number("ThrottlingRateLimit"),
        burst: settings.integer("ThrottlingBurstLimit", 0..=u32::MAX),
    };
    settings.finish();
    (throttle.rate.is_some() || throttle.burst.is_some()).then_some(throttle)
}

fn stage_variables(properties: &mut Properties<'_>) -> BTreeMap<String, String> {
    let entries: Vec<Entry> = properties
        .inner("StageVariables")
        .map(Properties::into_entries)
        .unwrap_or_default();
    let mut variables = BTreeMap::new();
    for entry in entries {
        match entry.value.as_text() {
            Some(text) => {
                variables.insert(entry.key, text.to_owned());
            }
            None => properties.report(entry.at, format!("the stage variable {} is text", entry.key)),
        }
    }
    variables
}

fn cors(properties: &mut Properties<'_>, resolver: &Resolver<'_>, id: &str) -> Option<Cors> {
    let node = properties.node("CorsConfiguration")?;
    match node.value {
        Value::Bool(false) => return None,
        // SAM's short form.
        Value::Bool(true) => {
            return Some(Cors {
                allow_origins: vec!["*".into()],
                ..Cors::default()
            });
        }
        _ => {}
    }
    let mut config = Properties::new(resolver, format!("{id}, CorsConfiguration"), &node);
    let cors = Cors {
        allow_origins: config.texts("AllowOrigins").unwrap_or_default(),
        allow_headers: config.texts("AllowHeaders").unwrap_or_default(),
        allow_methods: config.texts("AllowMethods").unwrap_or_default(),
        expose_headers: config.texts("ExposeHeaders").unwrap_or_default(),
        max_age_seconds: config.integer("MaxAge", 0..=86_400),
        allow_credentials: config.boolean("AllowCredentials").unwrap_or(false),
    };
    if cors.allow_credentials && cors.allow_origins.iter().any(|origin| origin == "*") {
        config.report(config.at, "AllowCredentials does not go with the origin *");
    }
    config.finish();
    Some(cors)
}

#[derive(Default)]
struct Auth {
    authorizers: BTreeMap<String, KnownAuthorizer>,
    default: Option<String>,
}

struct KnownAuthorizer {
    authorizer: JwtAuthorizer,
    scopes: Vec<String>,
}

fn auth(mut auth: Properties<'_>, resolver: &Resolver<'_>) -> Auth {
    let default = auth.text("DefaultAuthorizer");
    let mut authorizers = BTreeMap::new();
    if let Some(mut declared) = auth.inner("Authorizers") {
        for name in declared.keys() {
            let at = declared.position_of(&name);
            let Some(known) = declared.inner(&name).and_then(|it| jwt_authorizer(it, resolver)) else {
                continue;
            };
            let is_another = |other: &KnownAuthorizer| {
                let (one, other) = (&known.authorizer, &other.authorizer);
                one.is_local && other.is_local && one.issuer != other.issuer
            };
            if authorizers.values().any(is_another) {
                declared.report(
                    at,
                    format!("{name}: a second user pool that issues tokens is not supported"),
                );
            }
            authorizers.insert(name, known);
        }
    }
    auth.finish();
    Auth { authorizers, default }
}

fn jwt_authorizer(mut authorizer: Properties<'_>, resolver: &Resolver<'_>) -> Option<KnownAuthorizer> {
    let source_at = authorizer.position_of("IdentitySource");
    let source = authorizer.text("IdentitySource");
    let source = source.unwrap_or_else(|| "$request.header.Authorization".to_owned());
    let identity_source = identity_source(&source);
    if identity_source.is_none() {
        let wanted = "$request.header.NAME or $request.querystring.NAME";
        authorizer.report(source_at, format!("IdentitySource is {wanted}, not {source:?}"));
    }
    let scopes = authorizer.texts("AuthorizationScopes").unwrap_or_default();
    let at = authorizer.at;
    let Some(mut jwt) = authorizer.inner("JwtConfiguration") else {
        authorizer.report(at, "only authorizers with a JwtConfiguration are supported");
        return None;
    };
    authorizer.finish();
    let position = jwt.at;
    // CloudFormation spells them with a capital letter, SAM's documentation with a small one.
    let issuer = jwt.text("issuer").or_else(|| jwt.required_text("Issuer"));
    let audience = jwt
        .texts("audience")
        .or_else(|| jwt.texts("Audience"))
        .unwrap_or_default();
    jwt.finish();
    let issuer = issuer?;
    Some(KnownAuthorizer {
        authorizer: JwtAuthorizer {
            is_local: resolver.is_user_pool(&issuer),
            issuer,
            audience,
            identity_source: identity_source?,
            position,
        },
        scopes,
    })
}

fn identity_source(text: &str) -> Option<IdentitySource> {
    let (place, name) = text.strip_prefix("$request.")?.split_once('.')?;
    match place {
        _ if name.is_empty() => None,
        "header" => Some(IdentitySource::Header(name.to_ascii_lowercase())),
        "querystring" => Some(IdentitySource::Query(name.to_owned())),
        _ => None,
    }
}
