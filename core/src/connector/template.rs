//! A text with `{variables}` in it.

use super::variables::Variables;

/// A text whose `{name}` parts are filled from an account's variables.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Variable(String),
}

/// A text that is no template.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a `{{` without name and `}}`")]
pub struct InvalidTemplate;

/// A variable that has no value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the variable `{0}` has no value")]
pub struct Unfilled(pub String);

impl Template {
    /// Reads a template; names are `[A-Za-z_][A-Za-z0-9_]*`.
    /// # Errors
    /// A brace that does not open a name and close it.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind.split_once('}').ok_or(InvalidTemplate)?;
            let legal = name.bytes().enumerate().all(|(at, byte)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()));
            if name.is_empty() || !legal || before.contains('}') {
                return Err(InvalidTemplate);
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(Part::Variable(name.into()));
            rest = after;
        }
        if rest.contains('}') {
            return Err(InvalidTemplate);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self(parts))
    }

    /// The variables that it names, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with all variables filled.
    /// # Errors
    /// The first variable without a value.
    pub fn fill(&self, values: &Variables) -> Result<String, Unfilled> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Variable(name) => text.push_str(values.get(name).ok_or_else(|| Unfilled(name.clone()))?),
            }
        }
        Ok(text)
    }
}

/// As the author wrote it.
impl std::fmt::Display for Template {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => to.write_str(text),
            Part::Variable(name) => write!(to, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_and_everything_else_stays() {
        let values = Variables::from([("a".to_owned(), "1".to_owned()), ("b_2".to_owned(), "x".to_owned())]);
        for (text, filled) in
            [("https://{a}.example/{b_2}", Ok("https://1.example/x")), ("plain", Ok("plain")), ("{a}{a}", Ok("11")), ("{c}", Err("c"))]
        {
            let made = Template::parse(text).unwrap().fill(&values);
            assert_eq!(made, filled.map(str::to_owned).map_err(|name| Unfilled(name.to_owned())), "{text}");
        }
        for wrong in ["{", "}", "{}", "{1a}", "a}b", "{a b}", "x}{a}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
