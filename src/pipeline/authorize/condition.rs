//! `roles.NAME.when`: a condition in CEL, read and bounded at load. Everything of the CEL crate is in this file.
//! Never: a name the language does not have here; a loop in a loop, or a text that grows with each step: what a condition
//! costs is bounded by its length and by what of a request it is shown.
//! Next: `rights`, which asks.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};
use cel::objects::Key;
use cel::parser::{Expression, PrattParser};
use cel::{Context, Env, Value as CelValue};
use serde_json::Value as Json;

use crate::pipeline::authenticate::Principal;
use crate::pipeline::peer::Peer;
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Now;
use crate::wire::json::Value;

/// Longest condition, bytes.
const TEXT_BYTES_MAX: usize = 2048;
/// Operators, names and values in a condition.
const EXPRESSION_NODES_MAX: usize = 256;
/// How deep they are nested.
const EXPRESSION_DEPTH_MAX: u16 = 32;
/// Values that a condition is shown of a call's arguments, or of a token's claims. What has more can not be read.
const SHOWN_NODES_MAX: usize = 1024;
/// Their text, bytes.
const SHOWN_BYTES_MAX: usize = 16 * 1024;

/// The variables, and the members of those that have a fixed number.
const VARIABLES: [(&str, &[&str]); 5] = [
    ("request", &["method", "name", "ip", "listener"]),
    ("principal", &["id", "scopes"]),
    ("claims", &[]),
    ("arguments", &[]),
    ("now", &[]),
];

/// What may be called: nothing whose cost or result grows beyond what it is given.
const FUNCTIONS: [&str; 25] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "-_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "double",
    "string",
];

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ConditionError {
    /// Where in the text, from 1: line and column; none when it is about the whole.
    pub place: Option<(usize, usize)>,
    /// One sentence.
    pub what: String,
}

/// A condition that was read.
pub struct Condition {
    expression: Expression,
    /// Addresses that a part of the condition asks for: `request.ip in [...]`.
    networks: Vec<Vec<Network>>,
    reads: Reads,
}

/// Which variables it reads, in the order of [`VARIABLES`].
#[derive(Clone, Copy, Default)]
struct Reads([bool; VARIABLES.len()]);

/// What a condition may know of a request.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) method: &'a str,
    pub(super) name: &'a str,
    /// None when it is not known yet with which arguments something will be used.
    pub(super) arguments: Option<Option<Value<'a, 'a>>>,
    pub(super) principal: &'a Principal,
    pub(super) peer: Peer,
    pub(super) listener: &'a Listener,
    pub(super) now: Now,
}

/// What a condition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The role is held.
    Held,
    /// It is not.
    NotHeld,
    /// It depends on arguments that are not known yet.
    Open,
    /// It gives no answer for this request.
    Unreadable,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        let whole = |what: &str| ConditionError { place: None, what: what.to_owned() };
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(whole("a condition has 1 to 2048 bytes"));
        }
        let parser = PrattParser::new()
            .max_recursion_depth(EXPRESSION_DEPTH_MAX)
            .max_expression_node_count(EXPRESSION_NODES_MAX)
            .enable_optional_syntax(false);
        let expression = parser.parse(text).map_err(|errors| {
            let first = errors.errors.first();
            let place = first.and_then(|error| {
                Some((usize::try_from(error.pos.0).ok()?, usize::try_from(error.pos.1).ok()?))
            });
            let what = first.map_or("it is not CEL", |error| error.msg.as_str());
            // What follows the first line is a list of everything that would have been accepted.
            ConditionError { place, what: what.lines().next().unwrap_or_default().to_owned() }
        })?;
        let mut condition = Self { expression, networks: Vec::new(), reads: Reads::default() };
        let mut expression = std::mem::take(&mut condition.expression);
        let mut reading = Reading { condition: &mut condition, own: Vec::new(), nodes: 0 };
        reading.expression(&mut expression).map_err(|what| whole(&what))?;
        condition.expression = expression;
        Ok(condition)
    }

    /// Whether it asks for the method or the name, and may differ from one thing to the next.
    pub(super) fn asks_what_is_requested(&self) -> bool {
        self.reads.has("request")
    }

    /// Whether the role is held.
    pub(super) fn judge(&self, circumstances: &Circumstances<'_>) -> Verdict {
        if self.reads.has("arguments") && circumstances.arguments.is_none() {
            return Verdict::Open;
        }
        let Some(context) = self.context(circumstances) else { return Verdict::Unreadable };
        match CelValue::resolve(&self.expression, &context) {
            Ok(CelValue::Bool(true)) => Verdict::Held,
            Ok(CelValue::Bool(false)) => Verdict::NotHeld,
            // The error may quote what a caller sent, so it is not kept.
            Ok(_) | Err(_) => Verdict::Unreadable,
        }
    }

    /// The variables that are read, with their values.
    fn context(&self, circumstances: &Circumstances<'_>) -> Option<Context<'static, 'static>> {
        static LANGUAGE: LazyLock<Arc<Env>> =
            LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));
        let Circumstances { method, name, arguments, principal, peer, listener, now } = *circumstances;
        let mut context = Context::with_env(LANGUAGE.clone());
        let address = match peer {
            Peer::Network(address) => Some(address.ip().to_canonical()),
            // It has none, and is in no network.
            Peer::Local => None,
        };
        if self.reads.has("request") {
            let ip = address.map_or(String::new(), |address| address.to_string());
            let request = [("method", method), ("name", name), ("ip", &ip), ("listener", &listener.name)];
            context.add_variable_from_value("request", map(request.map(|(key, text)| (key, text.into()))));
        }
        if self.reads.has("principal") {
            let scopes: Vec<CelValue> =
                principal.facts.scopes.iter().map(|scope| scope.as_str().into()).collect();
            let principal = [("id", CelValue::from(&*principal.id)), ("scopes", CelValue::from(scopes))];
            context.add_variable_from_value("principal", map(principal));
        }
        if self.reads.has("claims") {
            let mut room = Room { nodes: SHOWN_NODES_MAX, bytes: SHOWN_BYTES_MAX };
            let claims = &principal.facts.claims;
            let claims = if claims.is_null() { map([]) } else { room.show_claims(claims)? };
            context.add_variable_from_value("claims", claims);
        }
        if self.reads.has("arguments") {
            let mut room = Room { nodes: SHOWN_NODES_MAX, bytes: SHOWN_BYTES_MAX };
            let arguments = match arguments.flatten() {
                Some(arguments) => room.show(arguments)?,
                None => map([]),
            };
            context.add_variable_from_value("arguments", arguments);
        }
        if self.reads.has("now") {
            let now_s = i64::try_from(now.unix_s()).unwrap_or(i64::MAX);
            context.add_variable_from_value("now", now_s);
        }
        for (index, networks) in self.networks.iter().enumerate() {
            let is_in = address.is_some_and(|address| networks.iter().any(|network| network.holds(address)));
            context.add_variable_from_value(network_name(index), is_in);
        }
        Some(context)
    }
}

impl Reads {
    fn has(self, name: &str) -> bool {
        VARIABLES.iter().zip(self.0).any(|((variable, _), is_read)| is_read && *variable == name)
    }
}

/// The name under which the answer to one `request.ip in [...]` stands; nobody can write it.
fn network_name(index: usize) -> String {
    format!("@network{index}")
}

/// One walk over a condition at load.
struct Reading<'c> {
    condition: &'c mut Condition,
    /// Names that a macro has made.
    own: Vec<String>,
    nodes: usize,
}

impl Reading<'_> {
    fn expression(&mut self, at: &mut Expression) -> Result<(), String> {
        self.nodes += 1;
        // Macros have been written out by now.
        if self.nodes > EXPRESSION_NODES_MAX {
            return Err("it is too long".into());
        }
        if let Some(networks) = networks_of(&at.expr)? {
            at.expr = Expr::Ident(network_name(self.condition.networks.len()));
            self.condition.networks.push(networks);
            return Ok(());
        }
        match &mut at.expr {
            Expr::Ident(name) => self.name(name, None),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.expression(element)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&mut entry.key)?;
                    self.expression(&mut entry.value)
                }
                EntryExpr::StructField(_) => Err("there are no structures here".into()),
            }),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Literal(_) => Ok(()),
            Expr::Struct(_) | Expr::Unspecified => Err("there are no structures here".into()),
        }
    }

    fn name(&mut self, name: &str, member: Option<&str>) -> Result<(), String> {
        if self.own.iter().any(|own| own == name) {
            return Ok(());
        }
        let known = VARIABLES.iter().zip(&mut self.condition.reads.0).find(|((known, _), _)| *known == name);
        let Some(((_, members), is_read)) = known else {
            let names = VARIABLES.map(|(name, _)| name).join(", ");
            return Err(format!("there is no `{}`; there are {names}", name.escape_debug()));
        };
        *is_read = true;
        match member {
            _ if members.is_empty() => Ok(()),
            Some(member) if members.contains(&member) => Ok(()),
            Some(member) => {
                let members = members.join(", ");
                Err(format!("`{name}` has no `{}`; it has {members}", member.escape_debug()))
            }
            None => Err(format!("write which of `{name}`: {}", members.join(", "))),
        }
    }

    fn select(&mut self, select: &mut SelectExpr) -> Result<(), String> {
        let Expr::Ident(name) = &select.operand.expr else { return self.expression(&mut select.operand) };
        let name = name.clone();
        self.name(&name, Some(&select.field))
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<(), String> {
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            let name = call.func_name.trim_matches('_').escape_debug();
            return Err(match &*call.func_name {
                "_+_" => "`+` is not offered: nothing may grow".to_owned(),
                _ => format!("there is no function `{name}`"),
            });
        }
        if let Some(target) = &mut call.target {
            self.expression(target)?;
        }
        call.args.iter_mut().try_for_each(|argument| self.expression(argument))
    }

    /// `all`, `exists`, `exists_one`, `filter`, `map`: once through what there is.
    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) -> Result<(), String> {
        if !self.own.is_empty() {
            return Err("a loop in a loop is not offered".into());
        }
        if comprehension.accu_init.expr != Expr::Literal(LiteralValue::Boolean(true.into()))
            && comprehension.accu_init.expr != Expr::Literal(LiteralValue::Boolean(false.into()))
        {
            return Err("of the macros there are `has`, `all` and `exists`".into());
        }
        self.expression(&mut comprehension.iter_range)?;
        self.own = vec![comprehension.iter_var.clone(), comprehension.accu_var.clone()];
        self.own.extend(comprehension.iter_var2.clone());
        if self.own.iter().any(|own| VARIABLES.iter().any(|(name, _)| name == own)) {
            return Err("a loop's variable must have a name of its own".into());
        }
        for part in [&mut comprehension.loop_cond, &mut comprehension.loop_step, &mut comprehension.result] {
            self.expression(part)?;
        }
        self.own.clear();
        Ok(())
    }
}

/// The networks of `request.ip in ["10.0.0.0/8", ...]`, if that is what it is.
fn networks_of(expression: &Expr) -> Result<Option<Vec<Network>>, String> {
    let Expr::Call(CallExpr { func_name, target: None, args }) = expression else { return Ok(None) };
    let ("@in", [left, right]) = (func_name.as_str(), args.as_slice()) else { return Ok(None) };
    let is_address = |select: &SelectExpr| {
        select.field == "ip" && !select.test && select.operand.expr == Expr::Ident("request".into())
    };
    let (Expr::Select(select), Expr::List(list)) = (&left.expr, &right.expr) else { return Ok(None) };
    if !is_address(select) {
        return Ok(None);
    }
    let network = |element: &Expression| {
        let Expr::Literal(LiteralValue::String(text)) = &element.expr else {
            return Err("`request.ip in` takes addresses and networks, such as [\"10.0.0.0/8\"]".to_owned());
        };
        let refused = || format!("\"{}\" is no address and no network", text.inner().escape_debug());
        Network::decode(text.inner()).ok_or_else(refused)
    };
    list.elements.iter().map(network).collect::<Result<_, _>>().map(Some)
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn decode(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(prefix.parse::<u32>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Self { address, prefix })
    }

    fn holds(self, address: IpAddr) -> bool {
        let differ = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => u128::from(own.to_bits() ^ other.to_bits()) << 96,
            (IpAddr::V6(own), IpAddr::V6(other)) => own.to_bits() ^ other.to_bits(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differ.leading_zeros() >= self.prefix
    }
}

fn map<const N: usize>(members: [(&str, CelValue); N]) -> CelValue {
    let members = members.into_iter().map(|(key, value)| (key.to_owned(), value));
    CelValue::from(members.collect::<std::collections::HashMap<String, CelValue>>())
}

/// What may still be shown.
struct Room {
    nodes: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, text: &str) -> Option<()> {
        self.nodes = self.nodes.checked_sub(1)?;
        self.bytes = self.bytes.checked_sub(text.len())?;
        Some(())
    }

    /// The claims of a token as conditions see them; none when they are too large.
    fn show_claims(&mut self, value: &Json) -> Option<CelValue> {
        self.take(value.as_str().unwrap_or_default())?;
        Some(match value {
            Json::Null => CelValue::Null,
            Json::Bool(truth) => CelValue::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(small), _) => CelValue::Int(small),
                (None, Some(large)) => CelValue::UInt(large),
                (None, None) => CelValue::Float(number.as_f64()?),
            },
            Json::String(text) => CelValue::from(text.as_str()),
            Json::Array(elements) => {
                let shown = elements.iter().map(|element| self.show_claims(element));
                CelValue::from(shown.collect::<Option<Vec<CelValue>>>()?)
            }
            Json::Object(members) => {
                let mut shown = std::collections::HashMap::new();
                for (key, member) in members {
                    self.take(key)?;
                    shown.insert(Key::from(key.as_str()), self.show_claims(member)?);
                }
                CelValue::from(shown)
            }
        })
    }

    /// A value as conditions see it; none when it is too large, or says the same thing twice.
    fn show(&mut self, value: Value<'_, '_>) -> Option<CelValue> {
        let text = value.as_str();
        self.take(text.unwrap_or_default())?;
        if let Some(text) = text {
            return Some(CelValue::from(text));
        }
        if let Some(number) = value.as_integer() {
            let small = i64::try_from(number).map(CelValue::Int);
            return small.or_else(|_| u64::try_from(number).map(CelValue::UInt)).ok();
        }
        if value.is_array() {
            let elements = value.elements().map(|element| self.show(element));
            return Some(CelValue::from(elements.collect::<Option<Vec<CelValue>>>()?));
        }
        if value.is_object() {
            let mut members = std::collections::HashMap::new();
            for (key, member) in value.members() {
                self.take(key)?;
                let shown = self.show(member)?;
                // Two readers could take it for two things.
                if members.insert(Key::from(key), shown).is_some() {
                    return None;
                }
            }
            return Some(CelValue::from(members));
        }
        match (value.as_bool(), value.as_fraction()) {
            (Some(truth), _) => Some(CelValue::Bool(truth)),
            (None, Some(number)) => Some(CelValue::Float(number)),
            (None, None) => Some(CelValue::Null),
        }
    }
}
