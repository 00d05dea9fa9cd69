//! From method and path to all operations whose template matches.
//!
//! One trie of segments per method. A template has at most one parameter that spans
//! segments, so each node is visited at most once per request: the work is bounded by
//! the documents and the length of the path, whatever the path says.

use super::template::{Letters, Mixed, PathTemplate, Segment};
use crate::request::Method;
use foldhash::fast::FixedState;
use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;

/// All templates of one connector. What it finds are the numbers under which they were added.
#[derive(Debug)]
pub(super) struct Router {
    letters: Letters,
    methods: Vec<(Method, Trie)>,
}

/// A path, taken apart into its segments.
#[derive(Debug)]
pub(super) struct Route<'a>(SmallVec<[&'a str; 16]>);

/// Laid out so that a request fetches as little as may be: where there are many operations none of it is at hand.
#[derive(Debug)]
struct Trie {
    nodes: Vec<Node>,
    /// Where literals lead, of all nodes. Only documents add to them: nobody outside can make the table uneven.
    literals: HashMap<Literal, Next, FixedState>,
}

#[derive(Debug, Default)]
struct Node {
    /// Whether a literal may follow.
    literals: bool,
    parameter: Option<Next>,
    /// What ends here, if anything does.
    end: Option<usize>,
    /// What few nodes have.
    more: Option<Box<More>>,
}

/// The root follows nothing.
type Next = NonZeroUsize;

#[derive(Debug, Default)]
struct More {
    mixed: Vec<(Mixed, Next)>,
    tails: Vec<Tail>,
    /// What else ends here.
    ends: Vec<usize>,
}

/// A literal that may follow a node. Most are short enough to lie in the table itself.
#[derive(Debug, Eq, PartialEq)]
struct Literal {
    node: usize,
    text: SmallVec<[u8; 24]>,
}

/// A segment behind a node, to look up by.
struct Behind<'a> {
    node: usize,
    text: &'a [u8],
}

impl Hash for Behind<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.node.hash(state);
        self.text.hash(state);
    }
}

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Behind { node: self.node, text: &self.text }.hash(state);
    }
}

impl Equivalent<Literal> for Behind<'_> {
    fn equivalent(&self, literal: &Literal) -> bool {
        self.node == literal.node && *self.text == *literal.text
    }
}

/// What stands behind a `{+name}`. Its length says which segments are its own.
#[derive(Debug)]
struct Tail {
    least: usize,
    length: usize,
    node: Next,
}

const ROOT: usize = 0;

impl Router {
    pub(super) fn new(letters: Letters) -> Self {
        Self { letters, methods: Vec::new() }
    }

    /// Adds a template under a number.
    pub(super) fn add(&mut self, method: &Method, template: &PathTemplate, number: usize) {
        let at = self.methods.iter().position(|(known, _)| known == method).unwrap_or_else(|| {
            self.methods.push((method.clone(), Trie { nodes: vec![Node::default()], literals: HashMap::default() }));
            self.methods.len() - 1
        });
        if let Some((_, trie)) = self.methods.get_mut(at) {
            trie.add(template, number, self.letters);
        }
    }

    /// Hands over the numbers of all templates of `method` that match, in no order.
    pub(super) fn find(&self, method: &Method, route: &Route<'_>, found: &mut impl FnMut(usize)) {
        if let Some((_, trie)) = self.methods.iter().find(|(known, _)| known == method) {
            trie.walk(ROOT, &route.0, self.letters, found);
        }
    }

    /// Hands over the numbers of all templates that match, whatever their method, in no order.
    pub(super) fn find_any_method(&self, route: &Route<'_>, found: &mut impl FnMut(usize)) {
        for (_, trie) in &self.methods {
            trie.walk(ROOT, &route.0, self.letters, found);
        }
    }
}

impl<'a> Route<'a> {
    /// Takes a path apart, which begins with a slash.
    pub(super) fn of(path: &'a str) -> Self {
        Self(path.strip_prefix('/').unwrap_or(path).split('/').collect())
    }

    /// How many segments it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Trie {
    fn walk(&self, at: usize, route: &[&str], letters: Letters, found: &mut impl FnMut(usize)) {
        let Some(node) = self.nodes.get(at) else { return };
        match route.split_first() {
            None => node.end.iter().chain(&node.more().ends).for_each(|number| found(*number)),
            Some((text, behind)) => {
                if node.literals
                    && let Some(next) = self.next(at, text, letters)
                {
                    self.walk(next.get(), behind, letters, found);
                }
                if !text.is_empty() {
                    for (_, next) in node.more().mixed.iter().filter(|(mixed, _)| mixed.matches(text, letters)) {
                        self.walk(next.get(), behind, letters, found);
                    }
                    if let Some(next) = node.parameter {
                        self.walk(next.get(), behind, letters, found);
                    }
                }
            }
        }
        for tail in &node.more().tails {
            let Some((taken, behind)) = route.len().checked_sub(tail.length).and_then(|taken| route.split_at_checked(taken)) else { continue };
            if taken.len() >= tail.least && taken.iter().all(|text| !text.is_empty()) {
                self.walk(tail.node.get(), behind, letters, found);
            }
        }
    }

    /// Where a literal leads.
    fn next(&self, at: usize, text: &str, letters: Letters) -> Option<Next> {
        self.literals.get(&Behind { node: at, text: literal(text, letters).as_bytes() }).copied()
    }

    fn add(&mut self, template: &PathTemplate, number: usize, letters: Letters) {
        let mut at = self.add_all(ROOT, template.before(), letters);
        if let Some(rest) = template.rest() {
            at = self.tail(at, rest.least, rest.behind.len());
            at = self.add_all(at, &rest.behind, letters);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.ends(number);
        }
    }

    fn add_all(&mut self, from: usize, segments: &[Segment], letters: Letters) -> usize {
        segments.iter().fold(from, |at, segment| match segment {
            Segment::Literal(text) => self.literal(at, text, letters),
            Segment::Mixed(mixed) => self.mixed(at, mixed, letters),
            Segment::Parameter => self.parameter(at),
        })
    }

    /// The node that `known` finds behind this one, or else a new one that `make` puts there.
    fn follow(&mut self, at: usize, known: impl FnOnce(&Node) -> Option<Next>, make: impl FnOnce(&mut Node, Next)) -> usize {
        let Some(new) = Next::new(self.nodes.len()) else { return at };
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some(known) = known(node) {
            return known.get();
        }
        make(node, new);
        self.nodes.push(Node::default());
        new.get()
    }

    fn literal(&mut self, at: usize, text: &str, letters: Letters) -> usize {
        if let Some(known) = self.next(at, text, letters) {
            return known.get();
        }
        let new = self.follow(at, |_| None, |node, _| node.literals = true);
        if let Some(next) = Next::new(new) {
            self.literals.insert(Literal { node: at, text: SmallVec::from_slice(literal(text, letters).as_bytes()) }, next);
        }
        new
    }

    fn mixed(&mut self, at: usize, mixed: &Mixed, letters: Letters) -> usize {
        let known = |node: &Node| node.more().mixed.iter().find(|(known, _)| known.same(mixed, letters)).map(|(_, next)| *next);
        self.follow(at, known, |node, new| node.more_mut().mixed.push((mixed.clone(), new)))
    }

    fn parameter(&mut self, at: usize) -> usize {
        self.follow(at, |node| node.parameter, |node, new| node.parameter = Some(new))
    }

    fn tail(&mut self, at: usize, least: usize, length: usize) -> usize {
        let known = |node: &Node| node.more().tails.iter().find(|tail| tail.least == least && tail.length == length).map(|tail| tail.node);
        self.follow(at, known, |node, new| node.more_mut().tails.push(Tail { least, length, node: new }))
    }
}

impl Node {
    fn more(&self) -> &More {
        const NOTHING: &More = &More { mixed: Vec::new(), tails: Vec::new(), ends: Vec::new() };
        self.more.as_deref().unwrap_or(NOTHING)
    }

    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn ends(&mut self, number: usize) {
        match self.end {
            None => self.end = Some(number),
            Some(_) => self.more_mut().ends.push(number),
        }
    }
}

/// A literal as it is kept: two that count as the same are the same there.
fn literal(text: &str, letters: Letters) -> Cow<'_, str> {
    match letters {
        Letters::Exact => text.into(),
        Letters::AnyCase => text.to_ascii_lowercase().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fixture::{paths, templates};
    use proptest::prelude::*;

    fn router(templates: &[&str], letters: Letters) -> Router {
        let mut router = Router::new(letters);
        for (number, template) in templates.iter().enumerate() {
            router.add(&"GET".parse().unwrap(), &PathTemplate::parse(template).unwrap(), number);
        }
        router
    }

    fn found(router: &Router, path: &str) -> Vec<usize> {
        found_by(router, "GET", path)
    }

    fn found_by(router: &Router, method: &str, path: &str) -> Vec<usize> {
        let mut found = Vec::new();
        router.find(&method.parse().unwrap(), &Route::of(path), &mut |number| found.push(number));
        found.sort_unstable();
        found
    }

    #[test]
    fn all_templates_that_match_are_found() {
        let templates = ["/a/{x}", "/a/b", "/a/{+x}", "/a/{x}b", "/**", "/a/{+x}/c", "/a/{+x}:go", "/a/b/", "/{x}/b", "/"];
        let router = router(&templates, Letters::Exact);
        for (path, numbers) in [
            ("/a/b", &[0, 1, 2, 4, 8][..]),
            ("/a/xb", &[0, 2, 3, 4]),
            ("/a/b/", &[7]),
            ("/a/", &[]),
            ("/a", &[4]),
            ("/", &[9]),
            ("/a/b/c", &[2, 4, 5]),
            ("/a/c", &[0, 2, 4]),
            ("/a/x:go", &[0, 2, 4, 6]),
            ("/a/x/y:go", &[2, 4, 6]),
            ("/a/:go", &[0, 2, 4]),
            ("/a/x/:go", &[2, 4]),
            ("/A/b", &[4, 8]),
        ] {
            assert_eq!(found(&router, path), numbers, "{path}");
        }
    }

    #[test]
    fn letters_do_not_count_where_the_connector_says_so() {
        let router = router(&["/Things/{x}", "/things/me", "/range(Address={x})"], Letters::AnyCase);
        for (path, numbers) in [("/THINGS/7", &[0][..]), ("/things/ME", &[0, 1]), ("/Range(address=A1)", &[2]), ("/thing/7", &[])] {
            assert_eq!(found(&router, path), numbers, "{path}");
        }
    }

    #[test]
    fn methods_are_apart() {
        let mut router = router(&["/a"], Letters::Exact);
        router.add(&"POST".parse().unwrap(), &PathTemplate::parse("/a/{x}").unwrap(), 7);
        assert_eq!(found_by(&router, "POST", "/a/b"), [7]);
        assert_eq!(found_by(&router, "POST", "/a"), [0; 0]);
        assert_eq!(found_by(&router, "HEAD", "/a"), [0; 0]);
        let mut whatever = Vec::new();
        router.find_any_method(&Route::of("/a/b"), &mut |number| whatever.push(number));
        assert_eq!(whatever, [7]);
    }

    /// The meaning of a template, tried in every way: what the router is judged by.
    fn means(template: &[&str], path: &[&str]) -> bool {
        let Some((first, behind)) = template.split_first() else { return path.is_empty() };
        let spans = |least: usize, next: &dyn Fn(&[&str]) -> bool| {
            (least..=path.len()).any(|taken| path[..taken].iter().all(|segment| !segment.is_empty()) && next(&path[taken..]))
        };
        if *first == "**" || *first == "{+r}" {
            return spans(1, &|left| means(behind, left));
        }
        let glob: Vec<char> = first.replace("{+r}", "*").replace("{x}", "*").replace("{y}", "*").chars().collect();
        let one = |left: &[&str]| left.split_first().is_some_and(|(segment, left)| globs(&glob, segment.as_bytes()) && means(behind, left));
        if first.starts_with("{+r}") { spans(0, &one) } else { one(path) }
    }

    fn globs(glob: &[char], text: &[u8]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some(('*', behind)) => (1..=text.len()).any(|taken| globs(behind, &text[taken..])),
            Some((literal, behind)) => text.split_first().is_some_and(|(byte, text)| *byte == *literal as u8 && globs(behind, text)),
        }
    }

    proptest! {
        #[test]
        fn the_router_finds_what_trying_everything_finds(templates in templates(), path in paths()) {
            let texts: Vec<&str> = templates.iter().map(String::as_str).collect();
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            let expected: Vec<usize> = (0..texts.len())
                .filter(|number| means(&texts[*number].replace("{z}", "{y}").split('/').skip(1).collect::<Vec<_>>(), &segments))
                .collect();
            prop_assert_eq!(found(&router(&texts, Letters::Exact), &path), expected);
        }
    }
}
