//! Servers -> upstream, named hosts and variables.

use super::operation::Operation;
use super::{Form, Reading};
use crate::connector::variables::Rule;
use crate::connector::{PlainHttp, Upstream};
use crate::import::draft::Variable;
use crate::import::fault::Fault;
use crate::import::names;
use crate::import::notes::Notes;
use crate::import::tree::Item;
use std::collections::{BTreeMap, BTreeSet};

/// Where a server is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Address {
    /// None where the description tells only a path.
    origin: Option<String>,
    /// The path before every operation; empty, or begins with `/` and does not end in one.
    base: String,
    variables: BTreeMap<String, Facts>,
}

/// What is said of a variable.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Facts {
    default: Option<String>,
    one_of: Vec<String>,
}

/// The servers of the whole description.
pub(super) struct Servers {
    given: Option<Address>,
    /// The first of the description.
    first: Option<Address>,
    /// Further origins of it.
    others: Vec<Address>,
}

/// Where everything goes.
pub(super) struct Settled {
    pub(super) upstream: String,
    pub(super) hosts: BTreeMap<String, String>,
    pub(super) variables: BTreeMap<String, Variable>,
    home: Home,
    /// Names of hosts by origin.
    names: BTreeMap<String, String>,
}

/// An operation without a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nowhere;

/// The upstream, and which addresses belong to it.
struct Home {
    origin: String,
    base: String,
    /// What the upstream stands for: the description's own origin, where another was given.
    own: Option<String>,
    /// The description's first server.
    first: Option<Address>,
}

/// Where one operation goes.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) host: Option<String>,
    /// What of the server's path stands in the template.
    pub(super) base: String,
}

impl Servers {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Result<Self, Fault> {
        let given = reading.wishes.upstream.as_deref().map(|text| {
            let address = address(text, None).ok().filter(|address| address.origin.is_some());
            address.ok_or_else(|| {
                Fault::unsaid(format!("`--upstream {text}` is no origin, or an origin with a path, such as `https://api.example.com/v1`"))
            })
        });
        let mut usable = match reading.form {
            Form::Three => listed(reading.root, &mut reading.notes),
            Form::Two => host_and_path(reading.root, &mut reading.notes).into_iter().collect(),
        }
        .into_iter();
        Ok(Self { given: given.transpose()?, first: usable.next(), others: usable.collect() })
    }

    /// The server of an operation: its own, or that of its path; none: that of the description.
    /// # Errors
    /// It has servers, and none that can be used: nobody knows where it goes.
    pub(super) fn of(path: Item<'_>, operation: Item<'_>, notes: &mut Notes) -> Result<Option<Address>, Nowhere> {
        let says = |item: &Item<'_>| item.get("servers").and_then(Item::items).is_some_and(|mut servers| servers.next().is_some());
        match [operation, path].into_iter().find(says) {
            Some(listing) => listed(listing, notes).into_iter().next().map(Some).ok_or(Nowhere),
            None => Ok(None),
        }
    }

    /// Decides where everything goes.
    pub(super) fn settle(&self, operations: &[Operation], notes: &mut Notes) -> Result<Settled, Fault> {
        let home = self.home(operations)?;
        let elsewhere = operations.iter().filter_map(|operation| operation.server.as_ref()).filter(|address| !home.is(address));
        let more = self.others.iter().filter(|address| self.given.is_none() && address.variables.is_empty() && !home.is(address));
        let origins: BTreeMap<&String, &Address> = elsewhere.chain(more).filter_map(|address| Some((address.origin.as_ref()?, address))).collect();
        let names = host_names(origins.keys().map(|origin| origin.as_str()));
        let upstream = format!("{}{}", home.origin, home.base);
        let hosts = names.iter().map(|(origin, name)| (name.clone(), origin.clone())).collect();
        let at_home = self.given.iter().chain(&self.first).take(1);
        let variables = variables(at_home.chain(origins.into_values()), &upstream, &hosts, notes);
        if self.given.is_none() && !self.others.is_empty() {
            notes.whole(format!("the description lists several servers, and `{upstream}` is the first: `--upstream` takes another"));
        }
        Ok(Settled { upstream, hosts, variables, home, names })
    }

    fn home(&self, operations: &[Operation]) -> Result<Home, Fault> {
        let first = self.first.clone();
        let own = first.as_ref().and_then(|first| first.origin.clone());
        if let Some(given) = &self.given {
            return Ok(Home { origin: given.origin.clone().unwrap_or_default(), base: given.base.clone(), own, first });
        }
        let (Some(origin), Some(address)) = (own.clone(), &self.first) else {
            return Err(Fault::unsaid("no server that can be used stands in the description: say `--upstream ORIGIN`"));
        };
        let mut home = Home { origin, base: address.base.clone(), own, first };
        let bases = operations.iter().filter_map(|operation| operation.server.as_ref()).filter(|address| home.is(address));
        home.base = bases.fold(home.base.clone(), |shared, address| common(&shared, &address.base));
        Ok(home)
    }
}

impl Home {
    fn is(&self, address: &Address) -> bool {
        address.origin.as_ref().is_none_or(|origin| *origin == self.origin || Some(origin) == self.own.as_ref())
    }

    /// What of a path stands in templates: nothing of it that the upstream has.
    fn below<'b>(&self, base: &'b str) -> &'b str {
        base.strip_prefix(&self.base).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(base)
    }
}

impl Settled {
    /// The API's own origin.
    pub(super) fn origin(&self) -> &str {
        &self.home.origin
    }

    /// Where an operation of this server goes.
    pub(super) fn place(&self, server: Option<&Address>) -> Place {
        let address = server.or(self.home.first.as_ref());
        let Some(address) = address else { return Place { host: None, base: String::new() } };
        let away = address.origin.as_ref().filter(|_| server.is_some() && !self.home.is(address));
        match away.and_then(|origin| self.names.get(origin)) {
            Some(host) => Place { host: Some(host.clone()), base: address.filled(&address.base) },
            None => Place { host: None, base: address.filled(self.home.below(&address.base)) },
        }
    }
}

impl Address {
    /// A path with variables at their defaults: in a template a variable would be a parameter of the request.
    fn filled(&self, path: &str) -> String {
        let default = |(name, facts): (&String, &Facts)| Some((format!("{{{name}}}"), facts.default.clone()?));
        self.variables.iter().filter_map(default).fold(path.to_owned(), |path, (name, value)| path.replace(&name, &value))
    }
}

/// The usable ones of `servers`.
fn listed(item: Item<'_>, notes: &mut Notes) -> Vec<Address> {
    let mut made = Vec::new();
    for server in item.get("servers").and_then(Item::items).into_iter().flatten() {
        let Some(url) = server.get("url").and_then(Item::text) else { continue };
        match address(url, server.get("variables")) {
            Ok(address) => made.push(address),
            Err(why) => notes.add(format!("a server cannot be used: {why}"), url),
        }
    }
    made
}

/// `schemes`, `host` and `basePath` of a description in version 2.
fn host_and_path(root: Item<'_>, notes: &mut Notes) -> Option<Address> {
    let says = |key| root.get(key).and_then(Item::text).map(str::trim).filter(|text| !text.is_empty());
    let base = says("basePath").unwrap_or_default();
    let base = if base.is_empty() || base.starts_with('/') { base.to_owned() } else { format!("/{base}") };
    let schemes: Vec<&str> = root.get("schemes").and_then(Item::items).into_iter().flatten().filter_map(Item::text).collect();
    let scheme = if schemes.is_empty() || schemes.contains(&"https") { "https" } else { "http" };
    let url = says("host").map_or(base.clone(), |host| format!("{scheme}://{host}{base}"));
    match address(&url, None) {
        Ok(address) => Some(address),
        Err(why) => {
            notes.add(format!("a server cannot be used: {why}"), url);
            None
        }
    }
}

/// Reads the URL of a server.
fn address(url: &str, variables: Option<Item<'_>>) -> Result<Address, &'static str> {
    let (url, mut facts) = renamed(url.trim(), variables);
    if url.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    let Some((scheme, rest)) = url.split_once("://").or_else(|| Some(("https", url.strip_prefix("//")?))) else {
        return Ok(Address { origin: None, base: checked_base(&url, &facts)?, variables: facts });
    };
    let scheme = scheme_of(scheme, &mut facts)?;
    let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    for (name, variable) in &mut facts {
        variable.close(name, authority)?;
    }
    let origin = format!("{scheme}://{}", lower(authority));
    let origin = origin.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(&origin).to_owned();
    samples(&origin, &facts).try_for_each(|sample| sample.parse::<Upstream>().map(drop)).map_err(|_| "it is no origin with a path")?;
    Ok(Address { origin: Some(origin), base: checked_base(path, &facts)?, variables: facts })
}

/// Variables under names of the language, and what is said of each.
fn renamed(url: &str, variables: Option<Item<'_>>) -> (String, BTreeMap<String, Facts>) {
    let mut made = String::new();
    let mut facts: BTreeMap<String, Facts> = BTreeMap::new();
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut rest = url;
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(before, behind)| Some((before, behind.split_once('}')?))) {
        let legal = match known.get(name) {
            Some(legal) => legal.clone(),
            None => {
                let legal = names::parameter(name, |one| facts.contains_key(one));
                facts.insert(legal.clone(), Facts::read(variables.and_then(|variables| variables.get(name))));
                known.insert(name, legal.clone());
                legal
            }
        };
        made.push_str(&format!("{before}{{{legal}}}"));
        rest = after;
    }
    (made + rest, facts)
}

/// A scheme that is a variable is https, where it may be that.
fn scheme_of(scheme: &str, facts: &mut BTreeMap<String, Facts>) -> Result<&'static str, &'static str> {
    let variable = scheme.strip_prefix('{').and_then(|scheme| scheme.strip_suffix('}'));
    let said: Vec<String> = match variable {
        Some(name) => facts.remove(name).map(|facts| facts.one_of.into_iter().chain(facts.default).collect()).unwrap_or_default(),
        None => vec![scheme.to_ascii_lowercase()],
    };
    match said.as_slice() {
        [] => Ok("https"),
        said if said.iter().any(|scheme| scheme == "https") => Ok("https"),
        said if said.iter().any(|scheme| scheme == "http") => Ok("http"),
        _ => Err("it speaks neither https nor http"),
    }
}

impl Facts {
    fn read(variable: Option<Item<'_>>) -> Self {
        let default = variable.and_then(|variable| variable.get("default")).and_then(Item::text).map(str::to_owned);
        let mut one_of: Vec<String> = Vec::new();
        let listed = variable.and_then(|variable| variable.get("enum")).and_then(Item::items).into_iter().flatten();
        for value in listed.filter_map(Item::text) {
            if !one_of.iter().any(|known| known == value) {
                one_of.push(value.to_owned());
            }
        }
        if let Some(value) = default.as_ref().filter(|value| !one_of.is_empty() && !one_of.contains(value)) {
            one_of.push(value.clone());
        }
        Self { default, one_of }
    }

    /// A value that nothing limits may be a label, where no account could choose the host by it; else only the default.
    fn close(&mut self, name: &str, authority: &str) -> Result<(), &'static str> {
        let is_label = |value: &String| Rule::Label.admit(value, PlainHttp::Refused).is_ok();
        let free = authority.contains(&format!("{{{name}}}")) && !ends_in_a_domain(authority);
        if !self.one_of.is_empty() || (!free && self.default.as_ref().is_none_or(is_label)) {
            return Ok(());
        }
        self.one_of = vec![self.default.clone().ok_or("an account could choose its host freely")?];
        Ok(())
    }
}

/// Whether a fixed domain of at least two labels stands behind the last variable.
fn ends_in_a_domain(authority: &str) -> bool {
    let behind = authority.rsplit('}').next().unwrap_or_default();
    let domain = behind.split(':').next().and_then(|host| host.strip_prefix('.')).unwrap_or_default();
    domain.contains('.') && domain.split('.').all(|label| !label.is_empty())
}

fn checked_base(path: &str, facts: &BTreeMap<String, Facts>) -> Result<String, &'static str> {
    let base = path.trim_end_matches('/');
    let whole = if base.is_empty() || base.starts_with('/') { base.to_owned() } else { format!("/{base}") };
    let probe = format!("https://host.example{whole}");
    samples(&probe, facts).try_for_each(|sample| sample.parse::<Upstream>().map(drop)).map_err(|_| "its path has more than one reading")?;
    Ok(whole)
}

/// The text with one value for each variable, for each value of any of them.
fn samples<'a>(text: &'a str, facts: &'a BTreeMap<String, Facts>) -> impl Iterator<Item = String> + 'a {
    let most = facts.values().map(|facts| facts.one_of.len()).max().unwrap_or_default().max(1);
    (0..most).map(move |number| {
        facts.iter().fold(text.to_owned(), |text, (name, facts)| {
            let value = facts.one_of.get(number).or(facts.one_of.first()).or(facts.default.as_ref()).map_or("x", String::as_str);
            text.replace(&format!("{{{name}}}"), value)
        })
    })
}

/// In lower case but for the names of variables.
fn lower(authority: &str) -> String {
    let mut inside = false;
    let mut made = String::new();
    for character in authority.chars() {
        inside = (inside || character == '{') && character != '}';
        made.push(if inside { character } else { character.to_ascii_lowercase() });
    }
    made
}

/// The segments with which both begin.
fn common(left: &str, right: &str) -> String {
    let shared = left.split('/').skip(1).zip(right.split('/').skip(1)).take_while(|(left, right)| left == right);
    shared.map(|(segment, _)| format!("/{segment}")).collect()
}

/// Each origin by its host's first label where no other has it, else by its whole host.
fn host_names<'a>(origins: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let plain = |text: &str| text.chars().filter(|character| !matches!(character, '{' | '}')).collect::<String>();
    let host = |origin: &str| plain(origin.split_once("://").map_or(origin, |(_, host)| host));
    let label = |origin: &str| host(origin).split(['.', ':']).next().unwrap_or_default().to_owned();
    let all: BTreeSet<&str> = origins.collect();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut made = BTreeMap::new();
    for origin in &all {
        let alone = all.iter().filter(|other| label(other) == label(origin)).count() == 1;
        let first = if alone { label(origin) } else { host(origin) };
        let name = (1..).map(|number| if number == 1 { first.clone() } else { format!("{first}-{number}") }).find(|name| !taken.contains(name));
        let name = name.unwrap_or(first);
        taken.insert(name.clone());
        made.insert((*origin).to_owned(), name);
    }
    made
}

/// The variables that upstream and hosts name.
fn variables<'a>(
    addresses: impl Iterator<Item = &'a Address>,
    upstream: &str,
    hosts: &BTreeMap<String, String>,
    notes: &mut Notes,
) -> BTreeMap<String, Variable> {
    let is_used = |name: &str| std::iter::once(upstream).chain(hosts.values().map(String::as_str)).any(|text| text.contains(&format!("{{{name}}}")));
    let mut made: BTreeMap<String, Variable> = BTreeMap::new();
    for (name, facts) in addresses.flat_map(|address| &address.variables).filter(|(name, _)| is_used(name)) {
        if facts.one_of.len() == 1 {
            notes.add("a variable may have only its default: list in `one_of` what else it may be", name);
        }
        // Two servers that say different things of one name: what either allows.
        let variable = made.entry(name.clone()).or_insert_with(|| Variable { default: facts.default.clone(), one_of: facts.one_of.clone() });
        let more = facts.one_of.iter().filter(|value| !variable.one_of.contains(value)).cloned().collect::<Vec<_>>();
        if !variable.one_of.is_empty() {
            variable.one_of.extend(more);
        }
    }
    made
}
