//! Documents over documents: `base: catalog`, and what the settings replace. Trees are joined before they are read, so that
//! every piece keeps the place that it came from.

use crate::policy::document::{Entry, Located, Node, Value};

/// How the value of a key is joined with the one below.
enum Join {
    /// By key, one level down.
    Keys,
    /// The entries of both lists.
    Items,
    /// By the `id` of the entries.
    Ids,
    /// The upper one stands.
    Replace,
}

impl Join {
    fn of(key: &str) -> Self {
        match key {
            "variables" | "hosts" | "scopes" | "headers" | "oauth" | "names" => Self::Keys,
            "request_headers" | "refuse_headers" | "allow_query" => Self::Items,
            "operations" => Self::Ids,
            _ => Self::Replace,
        }
    }
}

/// The connector `upper` over the connector `lower`.
pub(super) fn over(lower: &Node, upper: &Node) -> Node {
    joined(lower, upper, Join::of)
}

fn joined(lower: &Node, upper: &Node, join: impl Fn(&str) -> Join) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&lower.value, &upper.value) else { return upper.clone() };
    let mut entries = below.clone();
    for entry in above {
        match entries.iter_mut().find(|known| known.key.value == entry.key.value) {
            Some(known) => {
                known.value = join(&entry.key.value).apply(&known.value, &entry.value);
                known.key.clone_from(&entry.key);
            }
            None => entries.push(entry.clone()),
        }
    }
    Node { span: upper.span, value: Value::Map(entries) }
}

impl Join {
    fn apply(self, lower: &Node, upper: &Node) -> Node {
        let value = match (self, &lower.value, &upper.value) {
            (Self::Keys, Value::Map(_), Value::Map(_)) => return joined(lower, upper, |_| Self::Replace),
            (Self::Items, Value::List(below), Value::List(above)) => Value::List([below.as_slice(), above].concat()),
            (Self::Ids, Value::List(below), Value::List(above)) => {
                let replaced = |node: &&Node| !above.iter().any(|own| id_of(own).is_some() && id_of(own) == id_of(node));
                Value::List(below.iter().filter(replaced).chain(above).cloned().collect())
            }
            _ => return upper.clone(),
        };
        Node { span: upper.span, value }
    }
}

fn id_of(operation: &Node) -> Option<&str> {
    operation.get("id").and_then(Node::as_text)
}

/// `node` without the key `base`.
pub(super) fn without_base(node: &Node) -> Node {
    let mut node = node.clone();
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|entry| entry.key.value != "base");
    }
    node
}

/// A mapping of these keys and texts, each at its own place.
pub(super) fn mapping(entries: Vec<(Located<String>, Node)>) -> Option<Node> {
    let span = entries.first()?.0.span;
    Some(Node { span, value: Value::Map(entries.into_iter().map(|(key, value)| Entry { key, value }).collect()) })
}
