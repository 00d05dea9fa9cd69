//! The grammar of SOQL, by recursive descent.

use super::tokens::Token;
use super::{ByType, DEEPEST, LARGE, SYNTAX, Select, Source};
use crate::request::Ambiguity;

type Read<T> = Result<T, Ambiguity>;

/// No alias is called so: each of these ends what stands before it.
const RESERVED: [&str; 30] = [
    "ALL", "AND", "AS", "ASC", "BY", "DESC", "ELSE", "END", "EXCLUDES", "FIRST", "FOR", "FROM", "GROUP", "HAVING", "IN", "INCLUDES", "LAST", "LIKE",
    "LIMIT", "NOT", "NULL", "NULLS", "OFFSET", "OR", "ORDER", "SELECT", "UPDATE", "USING", "WHERE", "WITH",
];

const SCOPES: [&str; 7] = ["DELEGATED", "EVERYTHING", "MINE", "MINE_AND_MY_GROUPS", "MY_TERRITORY", "MY_TEAM_TERRITORY", "TEAM"];

const COMPARISONS: [&str; 7] = ["=", "!=", "<>", "<", "<=", ">", ">="];

pub(super) struct Parser<'t> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'t>>>,
    depth: usize,
}

impl<'t> Parser<'t> {
    pub(super) fn new(tokens: Vec<Token<'t>>) -> Self {
        Self { tokens: tokens.into_iter().peekable(), depth: 0 }
    }

    /// A whole text: one query.
    pub(super) fn query(mut self) -> Read<Select<'t>> {
        let query = self.select()?;
        if self.tokens.peek().is_none() { Ok(query) } else { Err(SYNTAX) }
    }

    fn select(&mut self) -> Read<Select<'t>> {
        self.must("SELECT")?;
        let mut made = Select::default();
        self.listed(|this| this.selected(&mut made))?;
        self.must("FROM")?;
        self.listed(|this| this.source(&mut made))?;
        if self.takes("USING") {
            self.must("SCOPE")?;
            self.one_of(&SCOPES)?;
        }
        if self.takes("WHERE") {
            self.condition(&mut made)?;
        }
        while self.takes("WITH") {
            self.with()?;
        }
        if self.takes("GROUP") {
            self.must("BY")?;
            self.grouped(&mut made)?;
        }
        if self.takes("HAVING") {
            self.condition(&mut made)?;
        }
        if self.takes("ORDER") {
            self.must("BY")?;
            self.listed(|this| this.ordered(&mut made))?;
        }
        for key in ["LIMIT", "OFFSET"] {
            if self.takes(key) {
                self.number()?;
            }
        }
        self.ending()?;
        Ok(made)
    }

    /// An entry of the list of fields.
    fn selected(&mut self, into: &mut Select<'t>) -> Read<()> {
        if self.takes_sign("(") {
            let child = self.deeper(Self::select)?;
            into.children.push(child);
            return self.must_sign(")");
        }
        if self.takes("TYPEOF") {
            return self.by_type(into);
        }
        self.expression(into)?;
        self.alias().map(drop)
    }

    fn by_type(&mut self, into: &mut Select<'t>) -> Read<()> {
        let path: Vec<&str> = self.name()?.split('.').collect();
        let mut when = Vec::new();
        while self.takes("WHEN") {
            let object = self.single_name()?;
            self.must("THEN")?;
            when.push((object, self.field_paths()?));
        }
        if when.is_empty() {
            return Err(SYNTAX);
        }
        if self.takes("ELSE") {
            let otherwise = self.field_paths()?;
            into.paths.extend(otherwise.into_iter().map(|fields| [path.as_slice(), &fields].concat()));
        }
        self.must("END")?;
        into.by_type.push(ByType { path, when });
        Ok(())
    }

    /// Fields of a `THEN` or `ELSE`, plain ones too.
    fn field_paths(&mut self) -> Read<Vec<Vec<&'t str>>> {
        let mut paths = Vec::new();
        self.listed(|this| {
            let fields = if this.takes("FIELDS") { this.fields_of_a_kind()? } else { this.name()? };
            paths.push(fields.split('.').collect());
            Ok(())
        })?;
        Ok(paths)
    }

    /// `(ALL)`, `(CUSTOM)`, `(STANDARD)` behind `FIELDS`: plain fields.
    fn fields_of_a_kind(&mut self) -> Read<&'t str> {
        self.must_sign("(")?;
        self.one_of(&["ALL", "CUSTOM", "STANDARD"])?;
        self.must_sign(")")?;
        Ok("FIELDS")
    }

    fn source(&mut self, into: &mut Select<'t>) -> Read<()> {
        let path = self.name()?.split('.').collect();
        let alias = if self.takes("AS") { Some(self.alias()?.ok_or(SYNTAX)?) } else { self.alias()? };
        into.from.push(Source { path, alias });
        Ok(())
    }

    fn alias(&mut self) -> Read<Option<&'t str>> {
        match self.tokens.peek() {
            Some(Token::Name(name)) if !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) => self.single_name().map(Some),
            _ => Ok(None),
        }
    }

    /// A field, a path, or a function of them.
    fn expression(&mut self, into: &mut Select<'t>) -> Read<()> {
        let name = self.name()?;
        if !self.takes_sign("(") {
            if name.contains('.') {
                into.paths.push(name.split('.').collect());
            }
            return Ok(());
        }
        if name.contains('.') {
            return Err(SYNTAX);
        }
        if self.takes_sign(")") {
            return Ok(());
        }
        self.deeper(|this| this.listed(|this| this.argument(into)))?;
        self.must_sign(")")
    }

    fn argument(&mut self, into: &mut Select<'t>) -> Read<()> {
        if matches!(self.tokens.peek(), Some(Token::Name(_))) { self.expression(into) } else { self.value() }
    }

    fn condition(&mut self, into: &mut Select<'t>) -> Read<()> {
        loop {
            while self.takes("NOT") {}
            if self.takes_sign("(") {
                self.deeper(|this| this.condition(into))?;
                self.must_sign(")")?;
            } else {
                self.comparison(into)?;
            }
            if !self.takes("AND") && !self.takes("OR") {
                return Ok(());
            }
        }
    }

    fn comparison(&mut self, into: &mut Select<'t>) -> Read<()> {
        self.expression(into)?;
        if self.takes("LIKE") {
            return self.value();
        }
        let is_negated = self.takes("NOT");
        if self.takes("IN") {
            return self.members(into);
        }
        if is_negated {
            return Err(SYNTAX);
        }
        if self.takes("INCLUDES") || self.takes("EXCLUDES") {
            self.must_sign("(")?;
            self.listed(Self::value)?;
            return self.must_sign(")");
        }
        match self.tokens.next() {
            Some(Token::Sign(sign)) if COMPARISONS.contains(&sign) => self.value(),
            _ => Err(SYNTAX),
        }
    }

    /// Behind `IN`: values, or a selection.
    fn members(&mut self, into: &mut Select<'t>) -> Read<()> {
        self.must_sign("(")?;
        if self.is_next("SELECT") {
            let joined = self.deeper(Self::select)?;
            into.joined.push(joined);
        } else {
            self.listed(Self::value)?;
        }
        self.must_sign(")")
    }

    /// A literal: a text, a number, a date, `TODAY`, `LAST_N_DAYS:30`, `NULL`.
    fn value(&mut self) -> Read<()> {
        match self.tokens.next().ok_or(SYNTAX)? {
            Token::Text | Token::Number => Ok(()),
            Token::Sign("-" | "+") => self.number(),
            Token::Name(name) if !name.contains('.') => {
                if self.takes_sign(":") {
                    self.number()
                } else {
                    Ok(())
                }
            }
            Token::Name(_) | Token::Sign(_) => Err(SYNTAX),
        }
    }

    /// Behind `WITH`: nothing there reads an object.
    fn with(&mut self) -> Read<()> {
        if self.takes("DATA") {
            self.must("CATEGORY")?;
            loop {
                self.single_name()?;
                self.one_of(&["AT", "ABOVE", "BELOW", "ABOVE_OR_BELOW"])?;
                if self.takes_sign("(") {
                    self.listed(|this| this.single_name().map(drop))?;
                    self.must_sign(")")?;
                } else {
                    self.single_name()?;
                }
                if !self.takes("AND") {
                    return Ok(());
                }
            }
        }
        if self.takes("RecordVisibilityContext") {
            self.must_sign("(")?;
            self.listed(|this| {
                this.single_name()?;
                this.must_sign("=")?;
                this.value()
            })?;
            return self.must_sign(")");
        }
        self.one_of(&["SECURITY_ENFORCED", "USER_MODE", "SYSTEM_MODE"])
    }

    fn grouped(&mut self, into: &mut Select<'t>) -> Read<()> {
        if self.takes("ROLLUP") || self.takes("CUBE") {
            self.must_sign("(")?;
            self.listed(|this| this.expression(into))?;
            return self.must_sign(")");
        }
        self.listed(|this| this.expression(into))
    }

    fn ordered(&mut self, into: &mut Select<'t>) -> Read<()> {
        self.expression(into)?;
        let _ = self.takes("ASC") || self.takes("DESC");
        if self.takes("NULLS") { self.one_of(&["FIRST", "LAST"]) } else { Ok(()) }
    }

    /// `FOR VIEW`, `FOR UPDATE`, `UPDATE TRACKING`, `ALL ROWS`: nothing that reads.
    fn ending(&mut self) -> Read<()> {
        loop {
            if self.takes("FOR") {
                self.one_of(&["VIEW", "REFERENCE", "UPDATE"])?;
            } else if self.takes("UPDATE") {
                self.listed(|this| this.one_of(&["TRACKING", "VIEWSTAT"]))?;
            } else if self.takes("ALL") {
                self.must("ROWS")?;
            } else {
                return Ok(());
            }
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == DEEPEST {
            return Err(LARGE);
        }
        self.depth += 1;
        let made = read(self);
        self.depth -= 1;
        made
    }

    /// One or more, with commas between them.
    fn listed(&mut self, mut read: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        read(self)?;
        while self.takes_sign(",") {
            read(self)?;
        }
        Ok(())
    }

    fn name(&mut self) -> Read<&'t str> {
        match self.tokens.next() {
            Some(Token::Name(name)) => Ok(name),
            _ => Err(SYNTAX),
        }
    }

    fn single_name(&mut self) -> Read<&'t str> {
        self.name().and_then(|name| if name.contains('.') { Err(SYNTAX) } else { Ok(name) })
    }

    fn number(&mut self) -> Read<()> {
        if self.tokens.next() == Some(Token::Number) { Ok(()) } else { Err(SYNTAX) }
    }

    fn is_next(&mut self, word: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Name(name)) if name.eq_ignore_ascii_case(word))
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.is_next(word);
        if is_next {
            self.tokens.next();
        }
        is_next
    }

    fn must(&mut self, word: &str) -> Read<()> {
        if self.takes(word) { Ok(()) } else { Err(SYNTAX) }
    }

    fn one_of(&mut self, words: &[&str]) -> Read<()> {
        if words.iter().any(|word| self.takes(word)) { Ok(()) } else { Err(SYNTAX) }
    }

    fn takes_sign(&mut self, sign: &'static str) -> bool {
        self.tokens.next_if_eq(&Token::Sign(sign)).is_some()
    }

    fn must_sign(&mut self, sign: &'static str) -> Read<()> {
        if self.takes_sign(sign) { Ok(()) } else { Err(SYNTAX) }
    }
}
