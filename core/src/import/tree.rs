//! A description as a tree: JSON or YAML, in one reading, within limits.
//!
//! The entries of a mapping are kept sorted by their keys, so that nothing that is made of them
//! depends on the order of the file. Aliases share what they name.

use super::fault::Fault;
use super::{json, yaml};

/// Levels of lists and mappings.
pub(super) const DEEPEST: usize = 256;

/// All nodes; the root is there.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    root: Id,
}

/// A node of a tree, by its place in the list.
pub(super) type Id = usize;

#[derive(Debug)]
struct Node {
    /// Where it begins, in bytes.
    at: usize,
    value: Value,
    /// Levels of lists and mappings in it, its own included.
    height: usize,
}

#[derive(Debug)]
enum Value {
    Null,
    /// Any other scalar, as it stands there.
    Text(Box<str>),
    List(Vec<Id>),
    /// Sorted by key.
    Map(Vec<(Box<str>, Id)>),
}

/// One node and all that hangs on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'t> {
    tree: &'t Tree,
    id: Id,
}

/// Reads a text: JSON where it is that, else YAML.
pub(super) fn read(text: &str) -> Result<Tree, Fault> {
    if !text.trim_start().starts_with(['{', '[']) {
        return yaml::read(text);
    }
    match json::read(text) {
        // A flow mapping of YAML begins as JSON does.
        Err(json::Broken::Syntax(fault)) => yaml::read(text).map_err(|_| fault),
        Err(json::Broken::Refused(fault)) => Err(fault),
        Ok(tree) => Ok(tree),
    }
}

impl Tree {
    pub(super) fn root(&self) -> Item<'_> {
        Item { tree: self, id: self.root }
    }
}

impl<'t> Item<'t> {
    /// Tells nodes apart; one that several aliases name is the same.
    pub(super) fn id(self) -> Id {
        self.id
    }

    /// Where it begins, in bytes.
    pub(super) fn at(self) -> usize {
        self.node().map_or(0, |node| node.at)
    }

    /// The value of a key of a mapping.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let entries = self.map()?;
        let found = entries.binary_search_by(|(known, _)| known.as_ref().cmp(key)).ok()?;
        entries.get(found).map(|(_, id)| Self { id: *id, ..self })
    }

    /// The entries of a mapping, sorted by key; none where it is no mapping.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'t str, Self)> {
        self.map().unwrap_or_default().iter().map(move |(key, id)| (key.as_ref(), Self { id: *id, ..self }))
    }

    /// The items of a list.
    pub(super) fn items(self) -> Option<impl Iterator<Item = Self>> {
        match &self.node()?.value {
            Value::List(items) => Some(items.iter().map(move |id| Self { id: *id, ..self })),
            Value::Null | Value::Text(_) | Value::Map(_) => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(super) fn text(self) -> Option<&'t str> {
        match &self.node()?.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.node().map(|node| &node.value), Some(Value::Null))
    }

    pub(super) fn is_map(self) -> bool {
        self.map().is_some()
    }

    fn map(self) -> Option<&'t [(Box<str>, Id)]> {
        match &self.node()?.value {
            Value::Map(entries) => Some(entries),
            Value::Null | Value::Text(_) | Value::List(_) => None,
        }
    }

    fn node(self) -> Option<&'t Node> {
        self.tree.nodes.get(self.id)
    }
}

/// Takes what a reader finds, in its order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    nodes: Vec<Node>,
    open: Vec<Open>,
    root: Option<Id>,
}

/// A collection whose end has not come yet.
#[derive(Debug)]
struct Open {
    at: usize,
    height: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    List(Vec<Id>),
    Map { entries: Vec<(Box<str>, usize, Id)>, key: Option<(Box<str>, usize)> },
}

/// What begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begin {
    List,
    Map,
}

impl Builder {
    /// Whether a key comes next.
    pub(super) fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    pub(super) fn key(&mut self, text: &str, at: usize) {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some((text.into(), at));
        }
    }

    pub(super) fn null(&mut self, at: usize) -> Id {
        self.add(Node { at, value: Value::Null, height: 0 })
    }

    pub(super) fn text(&mut self, text: &str, at: usize) -> Id {
        self.add(Node { at, value: Value::Text(text.into()), height: 0 })
    }

    /// A list or a mapping begins.
    pub(super) fn begin(&mut self, what: Begin, at: usize) -> Result<(), Fault> {
        self.bear(1, at)?;
        let content = match what {
            Begin::List => Content::List(Vec::new()),
            Begin::Map => Content::Map { entries: Vec::new(), key: None },
        };
        self.open.push(Open { at, height: 1, content });
        Ok(())
    }

    /// The innermost list or mapping ends.
    pub(super) fn end(&mut self) -> Result<Option<Id>, Fault> {
        let Some(Open { at, height, content }) = self.open.pop() else { return Ok(None) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(sorted(entries)?),
        };
        Ok(Some(self.add(Node { at, value, height })))
    }

    /// What an alias names stands here too.
    pub(super) fn again(&mut self, id: Id, at: usize) -> Result<(), Fault> {
        self.bear(self.height(id), at)?;
        self.place(id);
        Ok(())
    }

    /// The text of a scalar that was read before.
    pub(super) fn text_of(&self, id: Id) -> Option<&str> {
        match &self.nodes.get(id)?.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The innermost list or mapping that is open.
    pub(super) fn innermost(&self) -> Option<Begin> {
        self.open.last().map(|open| match open.content {
            Content::List(_) => Begin::List,
            Content::Map { .. } => Begin::Map,
        })
    }

    pub(super) fn finish(self) -> Option<Tree> {
        Some(Tree { root: self.root?, nodes: self.nodes })
    }

    fn height(&self, id: Id) -> usize {
        self.nodes.get(id).map_or(0, |node| node.height)
    }

    fn bear(&self, more: usize, at: usize) -> Result<(), Fault> {
        if self.open.len() + more > DEEPEST {
            return Err(Fault::at(at, format!("the description is more than {DEEPEST} levels deep here")));
        }
        Ok(())
    }

    fn add(&mut self, node: Node) -> Id {
        let id = self.nodes.len();
        self.nodes.push(node);
        self.place(id);
        id
    }

    fn place(&mut self, id: Id) {
        let height = self.height(id) + 1;
        match self.open.last_mut() {
            None => {
                self.root.get_or_insert(id);
            }
            Some(open) => {
                open.height = open.height.max(height);
                match &mut open.content {
                    Content::List(items) => items.push(id),
                    Content::Map { entries, key } => entries.extend(key.take().map(|(key, at)| (key, at, id))),
                }
            }
        }
    }
}

/// By key; one that stands twice is refused.
fn sorted(mut entries: Vec<(Box<str>, usize, Id)>) -> Result<Vec<(Box<str>, Id)>, Fault> {
    entries.sort_by(|(left, ..), (right, ..)| left.cmp(right));
    if let Some([_, (key, at, _)]) = entries.windows(2).find(|pair| matches!(pair, [(left, ..), (right, ..)] if left == right)) {
        return Err(Fault::at(*at, format!("the key `{key}` stands twice in one mapping")));
    }
    Ok(entries.into_iter().map(|(key, _, id)| (key, id)).collect())
}
