//! Three tools to try a server with: one that answers at once, one that reads the clock, one that takes its time.
//! They use nothing but the public API.
//! Next: `tool`, that API.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Progress, Registry, RegistryError, Reply, Tool, ToolError};

/// The names [`demo`] knows.
pub const DEMO_TOOLS: &[&str] = &["echo", "time", "countdown"];

/// Longest `countdown`, steps and milliseconds a step.
const STEPS_MAX: u32 = 1000;
const INTERVAL_MS_MAX: u64 = 10_000;

#[derive(Deserialize, JsonSchema)]
struct Echo<'a> {
    /// The text that comes back.
    message: &'a str,
}

#[derive(Deserialize, JsonSchema)]
struct Time {}

#[derive(Deserialize, JsonSchema)]
struct Countdown {
    /// How many steps, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    steps: u32,
    /// Milliseconds between two steps, at most 10000.
    #[schemars(range(max = 10000))]
    interval_ms: u64,
}

/// A registry with the demo tools of the given names, in the order given.
///
/// # Errors
/// When a name is unknown or stands twice.
pub fn demo(names: &[String]) -> Result<Registry, RegistryError> {
    let mut registry = Registry::default();
    for name in names {
        registry.register(demo_tool(name)?)?;
    }
    Ok(registry)
}

/// The demo tool of that name.
///
/// # Errors
/// When there is none.
pub fn demo_tool(name: &str) -> Result<Tool, RegistryError> {
    match name {
        "echo" => Ok(echo()),
        "time" => Ok(time()),
        "countdown" => Ok(countdown()),
        _ => Err(RegistryError::Unknown { name: name.to_owned(), known: DEMO_TOOLS.join(", ") }),
    }
}

fn echo() -> Tool {
    Tool::immediate::<Echo<'_>>("echo", "Returns the message it is given.", |call, reply| {
        let arguments: Echo<'_> = call.parse()?;
        reply.text(arguments.message);
        Ok(())
    })
}

fn time() -> Tool {
    Tool::immediate::<Time>("time", "Returns the server's time, UTC, as RFC 3339.", |call, reply| {
        call.parse::<Time>()?;
        reply.text(&rfc3339(call.now())?);
        Ok(())
    })
}

fn countdown() -> Tool {
    Tool::deferred::<Countdown, _>(
        "countdown",
        "Counts the given number of steps, reporting progress after each, then says \"done\".",
        |call, context| {
            let Countdown { steps, interval_ms } = call.parse()?;
            if !(1..=STEPS_MAX).contains(&steps) || interval_ms > INTERVAL_MS_MAX {
                return Err(ToolError::new("steps must be 1 to 1000 and interval_ms at most 10000"));
            }
            Ok(async move {
                for step in 1..=steps {
                    context.sleep(Duration::from_millis(interval_ms)).await;
                    context.progress(Progress {
                        progress: f64::from(step),
                        total: Some(f64::from(steps)),
                        message: None,
                    });
                }
                let mut reply = Reply::new();
                reply.text("done");
                Ok(reply)
            })
        },
    )
}

fn rfc3339(now: SystemTime) -> Result<String, ToolError> {
    let whole_seconds = OffsetDateTime::from(now).replace_nanosecond(0);
    whole_seconds
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .ok_or_else(|| ToolError::new("the server's clock is outside the years 0 to 9999"))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn writes_dates_of_leap_and_common_years() {
        for (seconds, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap(), expect);
        }
    }

    #[test]
    fn offers_every_name_it_advertises_and_no_other() {
        let all: Vec<String> = DEMO_TOOLS.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(demo(&all).unwrap().len(), DEMO_TOOLS.len());
        assert!(matches!(demo(&["nope".to_owned()]), Err(RegistryError::Unknown { .. })));
        assert!(matches!(demo(&["echo".into(), "echo".into()]), Err(RegistryError::Duplicate { .. })));
    }
}
