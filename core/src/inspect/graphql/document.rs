//! A GraphQL document (October 2021 edition) and the operation in it.

use super::{Asked, CHARACTER, FRAGMENTS, GraphqlKind, GraphqlLimits, LARGE, SYNTAX, WHICH};
use crate::request::Ambiguity;
use apollo_parser::cst::{Definition, Document, FragmentName, OperationDefinition, Selection, SelectionSet};
use apollo_parser::{Lexer, Parser, TokenKind};
use std::collections::HashMap;

impl Asked {
    /// What executing `text` asks for. `name` chooses among several operations.
    /// # Errors
    /// A text that is no executable document, or one whose operation is not the only one and not named.
    pub fn read(text: &str, name: Option<&str>, limits: GraphqlLimits) -> Result<Self, Ambiguity> {
        check_words(text, limits)?;
        let tree = Parser::new(text).recursion_limit(limits.depth + 1).token_limit(limits.tokens + 1).parse();
        if tree.errors().len() > 0 {
            return Err(SYNTAX);
        }
        let document = tree.document();
        let operation = chosen(&document, name)?;
        let fragments = Fragments::read(&document)?;
        let selections = operation.selection_set().ok_or(SYNTAX)?;
        fragments.check_depth(&selections, limits.depth)?;
        let mut fields = Vec::new();
        fragments.roots(&selections, &mut Vec::new(), &mut fields)?;
        Ok(Self { kind: kind(&operation)?, fields })
    }
}

/// Whether the text is made of words, few enough, and nested within the limit, so that the parser never meets more.
fn check_words(text: &str, limits: GraphqlLimits) -> Result<(), Ambiguity> {
    let is_odd = |character: char| {
        (character.is_control() && !matches!(character, '\t' | '\n' | '\r')) || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if text.contains(is_odd) || text.split('\r').skip(1).any(|behind| !behind.starts_with('\n')) {
        return Err(CHARACTER);
    }
    let mut depth = 0_usize;
    for (count, token) in Lexer::new(text).enumerate() {
        if count > limits.tokens {
            return Err(LARGE);
        }
        let token = token.map_err(|_| SYNTAX)?;
        let kind = token.kind();
        if kind == TokenKind::StringValue && !token.data().starts_with("\"\"\"") && token.data().contains('\n') {
            return Err(SYNTAX); // the lexer lets a line end where a text begins
        }
        if matches!(kind, TokenKind::LCurly | TokenKind::LParen | TokenKind::LBracket) {
            depth += 1;
        } else if matches!(kind, TokenKind::RCurly | TokenKind::RParen | TokenKind::RBracket) {
            depth = depth.checked_sub(1).ok_or(SYNTAX)?;
        }
        if depth > limits.depth {
            return Err(LARGE);
        }
    }
    Ok(())
}

/// The operation that is executed: the only one, or the one of that name.
fn chosen(document: &Document, name: Option<&str>) -> Result<OperationDefinition, Ambiguity> {
    let mut all: Vec<(Option<String>, OperationDefinition)> = Vec::new();
    for definition in document.definitions() {
        if let Definition::OperationDefinition(operation) = definition {
            let own = operation.name().map(|name| name.text().to_string());
            if all.iter().any(|(known, _)| *known == own) {
                return Err(WHICH);
            }
            all.push((own, operation));
        } else if !matches!(definition, Definition::FragmentDefinition(_)) {
            return Err(SYNTAX);
        }
    }
    if all.len() > 1 && all.iter().any(|(own, _)| own.is_none()) {
        return Err(WHICH);
    }
    let found = match name {
        Some(name) => all.into_iter().find(|(own, _)| own.as_deref() == Some(name)),
        None if all.len() > 1 => None,
        None => all.pop(),
    };
    found.map(|(_, operation)| operation).ok_or(WHICH)
}

fn kind(operation: &OperationDefinition) -> Result<GraphqlKind, Ambiguity> {
    let Some(written) = operation.operation_type() else { return Ok(GraphqlKind::Query) };
    let kinds = [
        (written.query_token(), GraphqlKind::Query),
        (written.mutation_token(), GraphqlKind::Mutation),
        (written.subscription_token(), GraphqlKind::Subscription),
    ];
    kinds.into_iter().find(|(token, _)| token.is_some()).map(|(_, kind)| kind).ok_or(SYNTAX)
}

/// The fragments of a document by name.
struct Fragments(HashMap<String, SelectionSet>);

impl Fragments {
    fn read(document: &Document) -> Result<Self, Ambiguity> {
        let mut all = HashMap::new();
        for definition in document.definitions() {
            let Definition::FragmentDefinition(fragment) = definition else { continue };
            let name = name_of(fragment.fragment_name())?;
            if all.insert(name, fragment.selection_set().ok_or(SYNTAX)?).is_some() {
                return Err(FRAGMENTS);
            }
        }
        Ok(Self(all))
    }

    fn named(&self, name: Option<FragmentName>) -> Result<(String, &SelectionSet), Ambiguity> {
        let name = name_of(name)?;
        let found = self.0.get(&name).ok_or(FRAGMENTS)?;
        Ok((name, found))
    }

    /// Whether nothing lies deeper than `most`, and no fragment is in itself.
    fn check_depth(&self, selections: &SelectionSet, most: usize) -> Result<(), Ambiguity> {
        let mut known = HashMap::new();
        let deepest = self.depth(selections, most, &mut Vec::new(), &mut known)?;
        if deepest > most { Err(LARGE) } else { Ok(()) }
    }

    /// Each fragment is looked into once; `within` are those that we are inside of.
    fn depth(
        &self,
        selections: &SelectionSet,
        left: usize,
        within: &mut Vec<String>,
        known: &mut HashMap<String, usize>,
    ) -> Result<usize, Ambiguity> {
        let left = left.checked_sub(1).ok_or(LARGE)?;
        let mut deepest = 0;
        for selection in selections.selections() {
            let inner = match selection {
                Selection::Field(field) => field.selection_set().map_or(Ok(0), |inner| self.depth(&inner, left, within, known))?,
                Selection::InlineFragment(fragment) => self.depth(&fragment.selection_set().ok_or(SYNTAX)?, left, within, known)?,
                Selection::FragmentSpread(spread) => {
                    let (name, inner) = self.named(spread.fragment_name())?;
                    if within.contains(&name) {
                        return Err(FRAGMENTS);
                    }
                    match known.get(&name) {
                        Some(depth) => *depth,
                        None => {
                            within.push(name.clone());
                            let depth = self.depth(inner, left, within, known)?;
                            within.pop();
                            known.insert(name, depth);
                            depth
                        }
                    }
                }
            };
            deepest = deepest.max(inner);
        }
        Ok(deepest + 1)
    }

    /// Gathers the root fields; `seen` are fragments that were looked into already.
    fn roots(&self, selections: &SelectionSet, seen: &mut Vec<String>, fields: &mut Vec<String>) -> Result<(), Ambiguity> {
        for selection in selections.selections() {
            match selection {
                Selection::Field(field) => {
                    let name = field.name().ok_or(SYNTAX)?.text().to_string();
                    if !fields.contains(&name) {
                        fields.push(name);
                    }
                }
                Selection::InlineFragment(fragment) => self.roots(&fragment.selection_set().ok_or(SYNTAX)?, seen, fields)?,
                Selection::FragmentSpread(spread) => {
                    let (name, inner) = self.named(spread.fragment_name())?;
                    if !seen.contains(&name) {
                        seen.push(name);
                        self.roots(inner, seen, fields)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn name_of(name: Option<FragmentName>) -> Result<String, Ambiguity> {
    name.and_then(|name| name.name()).map(|name| name.text().to_string()).ok_or(SYNTAX)
}
