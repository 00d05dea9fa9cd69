//! Path templates: `/a/{id}`, `/a/{+rest}`, `/a/{id}:cancel`, `/a/**`.

/// A path template of an operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathTemplate;
