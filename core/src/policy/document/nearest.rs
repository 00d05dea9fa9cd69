//! The name that somebody probably meant.

/// The name among `known` that is nearest to `wrong`, if one is near enough: a third of its letters may differ.
/// Among equally near ones the first in the alphabet.
#[must_use]
pub fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = wrong.chars().count();
    let bearable = length.div_ceil(3).max(1);
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        // The distance is at least the difference in length: most names are out before any is compared.
        .filter(|name| name.chars().count().abs_diff(length) <= bearable)
        .map(|name| (strsim::osa_distance(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= bearable && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

/// "did you mean `x`?", or else a list of what there is, where that is short.
#[must_use]
pub fn suggestion<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<String> {
    if let Some(name) = nearest(wrong, known.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let all: Vec<String> = known.into_iter().take(9).map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [] => None,
        [only] => Some(format!("there is only {only}")),
        many if many.len() < 9 => Some(format!("there are {}", many.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_name_and_anything_else_none() {
        let known = ["opportunities:read", "opportunities:write", "accounts:read", "require", "deny", "id"];
        for (wrong, meant) in [
            ("oportunities:read", Some("opportunities:read")),
            ("opportunities:raed", Some("opportunities:read")),
            ("Accounts:Read", Some("accounts:read")),
            ("requires", Some("require")),
            ("dney", Some("deny")),
            ("di", Some("id")),
            ("x", None),
            ("files:read", None),
            ("something:else", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, known), meant, "{wrong}");
        }
    }

    #[test]
    fn a_short_list_is_shown_where_no_name_is_near() {
        assert_eq!(suggestion("xyz", ["alpha", "beta"]).unwrap(), "there are `alpha`, `beta`");
        assert_eq!(suggestion("xyz", ["alpha"]).unwrap(), "there is only `alpha`");
        assert_eq!(suggestion("xyz", []), None);
    }
}
