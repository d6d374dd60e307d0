//! What `native.enable` may name: each demo tool, and in a build with the feature `fixtures` all of those as one.
//! Next: `demo`.

use super::registry::{Kind, RegistryError};
use super::{Catalog, DEMO_TOOLS, demo};

/// The name for all fixtures together, where they are built in.
const FIXTURES: Option<&str> = if cfg!(feature = "fixtures") { Some("fixtures") } else { None };

/// The names that can be enabled.
pub fn native_names() -> impl Iterator<Item = &'static str> {
    DEMO_TOOLS.iter().copied().chain(FIXTURES)
}

/// A catalog of what is enabled: the demo tools in the order given, then the fixtures.
///
/// # Errors
/// When a name is unknown or stands twice.
pub fn native(names: &[String]) -> Result<Catalog, RegistryError> {
    let (fixtures, tools): (Vec<_>, Vec<_>) =
        names.iter().cloned().partition(|name| Some(name.as_str()) == FIXTURES);
    let catalog = Catalog::new(demo(&tools)?);
    if let Some(twice) = fixtures.get(1) {
        return Err(RegistryError::Duplicate { kind: Kind::Tools, name: twice.clone() });
    }
    #[cfg(feature = "fixtures")]
    if !fixtures.is_empty() {
        super::fixtures(&catalog)?;
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(names: &[&str]) -> Result<usize, RegistryError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        native(&names).map(|catalog| catalog.registry().len())
    }

    #[test]
    fn every_name_can_be_enabled_once() {
        let all: Vec<&str> = native_names().collect();
        assert!(registered(&all).unwrap() >= all.len());
        for name in all {
            assert!(registered(&[name]).unwrap() > 0, "{name}");
            assert!(matches!(registered(&[name, name]), Err(RegistryError::Duplicate { .. })), "{name}");
        }
        assert!(matches!(registered(&["echo", "nope"]), Err(RegistryError::Unknown { .. })));
    }

    #[test]
    fn fixtures_have_a_name_only_where_they_are_built_in() {
        assert_eq!(native_names().any(|name| name == "fixtures"), cfg!(feature = "fixtures"));
        assert_eq!(registered(&["fixtures"]).is_ok(), cfg!(feature = "fixtures"));
    }
}
