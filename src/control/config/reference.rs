//! The settings reference: Markdown tables of every setting and every problem code, printed by `mcpring schema --format markdown`.
//! Next: `settings`, where it comes from.

use super::problem::Code;
use super::settings::{Presence, Reload, Setting, Shape, quoted, settings};

/// All settings, one table of Markdown for each table of the file.
pub fn markdown() -> String {
    let root = settings();
    let mut text = "# Settings of mcpring.toml\n\n\
        Durations are `\"250ms\"`, `\"30s\"`, `\"15m\"`, `\"24h\"`, `\"90d\"`; sizes `\"512B\"`, `\"64KiB\"`, `\"10MiB\"`. \
        Relative paths are relative to the file's folder. *Live* settings change on SIGHUP, *restart* ones when the \
        process starts again.\n"
        .to_owned();
    section("", root.inner(), &mut text);
    text.push_str("\n## Problems\n\n| code | meaning |\n|---|---|\n");
    for code in Code::ALL {
        text.push_str(&format!("| `{code}` | {} |\n", code.meaning()));
    }
    text
}

/// The settings of one table, then the tables in it.
fn section(path: &str, settings: &[Setting], text: &mut String) {
    let (tables, values): (Vec<_>, Vec<_>) =
        settings.iter().partition(|setting| !setting.shape.inner().is_empty());
    if !values.is_empty() {
        text.push_str("\n| key | type | default | range | change | meaning |\n|---|---|---|---|---|---|\n");
        values.iter().for_each(|setting| text.push_str(&row(path, setting)));
    }
    for setting in tables {
        let (inner, title) = match &setting.shape {
            Shape::Named(_) => (join(path, &format!("{}.NAME", setting.key)), "[{}]"),
            Shape::List { .. } => (join(path, &setting.key), "[[{}]]"),
            Shape::Boolean
            | Shape::Integer { .. }
            | Shape::Text { .. }
            | Shape::Time { .. }
            | Shape::Size { .. }
            | Shape::Words(_)
            | Shape::WordOr(..)
            | Shape::Table { .. }
            | Shape::Keyed(_) => (join(path, &setting.key), "[{}]"),
        };
        let required = if matches!(setting.presence, Presence::Required) { " Required." } else { "" };
        text.push_str(&format!("\n## `{}`\n\n{}{required}\n", title.replace("{}", &inner), setting.meaning));
        section(&inner, setting.shape.inner(), text);
    }
}

/// One row.
fn row(table: &str, setting: &Setting) -> String {
    let mut meaning = setting.meaning.clone();
    if let Shape::Words(words) = &setting.shape {
        for word in words {
            meaning.push_str(&format!(" `{}`: {}", quoted(&word.word), word.meaning));
        }
    }
    let default = match &setting.presence {
        Presence::Default(value) => format!("`{value}`"),
        Presence::Required | Presence::Depends(_) | Presence::Table => setting.default().to_owned(),
    };
    let change = match setting.reload {
        Reload::Live => "live",
        Reload::Restart => "restart",
    };
    let cells = [
        format!("`{}`", join(table, &setting.key)),
        kind(setting),
        default,
        setting.shape.range(),
        change.into(),
        meaning,
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// The type in words.
fn kind(setting: &Setting) -> String {
    let name = match &setting.shape {
        Shape::Boolean => "boolean",
        Shape::Integer { .. } => "integer",
        Shape::Text { .. } => "string",
        Shape::Time { .. } => return "duration".to_owned(),
        Shape::Size { .. } => return "size".to_owned(),
        Shape::Words(_) => "word",
        Shape::WordOr(..) => "word or integer",
        Shape::List { .. } => "list",
        Shape::Table { .. } | Shape::Named(_) | Shape::Keyed(_) => "table",
    };
    if setting.unit.is_empty() { name.to_owned() } else { format!("{name} ({})", setting.unit) }
}

/// The path of a key.
fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_row_for_every_setting() {
        let text = markdown();
        let row = |key: &str| {
            text.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).map(str::to_owned)
        };
        for (key, cells) in [
            ("limits.max_message_size", "| size | `\"10MiB\"` | 1KiB to 256MiB | live |"),
            ("runtime.ring_entries", "| integer (entries) | `4096` | 16 to 32768 | restart |"),
            (
                "listeners.NAME.kind",
                "| word | required | \"http\", \"tcp\", \"stdio\", \"redirect\" | live |",
            ),
            ("listeners.NAME.websocket.ping_interval", "| duration | `\"30s\"` | 100ms to 1h | live |"),
            ("listeners.NAME.address", "| string (address) | required, but for kind \"stdio\" |  | live |"),
            ("tls.NAME.certificates.key_file", "| string (file) | required |"),
            ("auth.api_key.pepper.env", "| string (variable name) | none |"),
            ("version", "| integer | `1` | 1 to 1 | live |"),
        ] {
            let row = row(key).unwrap_or_else(|| panic!("{key}\n{text}"));
            assert!(row.contains(cells), "{row}");
        }
        assert!(text.contains("\n## `[[tls.NAME.certificates]]`\n"), "{text}");
        assert!(text.contains("\n| `E0101` | No setting has this name. |\n"), "{text}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows = text.lines().filter(|line| line.starts_with('|'));
        assert!(rows.clone().count() > 90, "{text}");
        assert!(rows.map(columns).all(|columns| columns == 7 || columns == 3), "{text}");
    }
}
