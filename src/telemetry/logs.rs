//! The log: lines for people on a terminal, JSON elsewhere, on standard error.

use std::fmt;
use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::Level;
use tracing_subscriber::filter::{FilterFn, LevelFilter, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::time::{Clock, rfc3339};

/// What is logged where nobody says.
const DEFAULT: &str = "info";

/// Why no log could be set up.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The filter is none.
    #[error(
        "{filter:?} is no log filter ({source}); write a level such as info or debug, or levels by \
         part, such as info,certctl::sds=debug"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process logs already.
    #[error("the log of this process is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets up the log of this process. `filter` is what was asked for; without it that of `RUST_LOG`
/// counts (the notation is that of tracing's `Targets`: levels, for all or by part), and without that
/// `info`.
///
/// # Errors
/// When the filter does not parse, or the log is set up already.
pub fn start(filter: Option<&str>) -> Result<(), LogsError> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = filter.or(from_environment.as_deref()).unwrap_or(DEFAULT);
    let parsed = targets(filter)
        .map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })?;
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(io::stderr);
    let started = if io::stderr().is_terminal() {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        log.with_ansi(colours)
            .with_target(false)
            .with_timer(TimeOfDay)
            .finish()
            .with(parsed)
            .with(without_secrets())
            .try_init()
    } else {
        log.json().flatten_event(true).finish().with(parsed).with(without_secrets()).try_init()
    };
    started.map_err(LogsError::Twice)
}

/// Has warnings, or errors alone, told in lines on standard error: for a command that people run and
/// that ends by itself.
///
/// # Errors
/// When the process logs already.
pub fn tell(level: Level) -> Result<(), LogsError> {
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr);
    let log = log.with_ansi(false).with_target(false).without_time().finish();
    log.try_init().map_err(LogsError::Twice)
}

/// Whatever is asked for: at its finest level, AWS's SDK tells of whole answers, and one to a
/// request whose signature does not fit repeats the session token.
fn without_secrets() -> FilterFn {
    filter_fn(|about| *about.level() < Level::TRACE || !about.target().starts_with("aws_"))
}

/// Spaces and commas too many mean nothing.
fn targets(filter: &str) -> Result<Targets, ParseError> {
    let parts = filter.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(",").parse()
}

/// On a terminal the day is known.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let now = rfc3339(Clock::system().now());
        to.write_str(now.split_once('T').map_or(now.as_str(), |(_, time)| time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_with_an_example() {
        let error = start(Some("certctl=loud")).unwrap_err().to_string();
        assert!(error.contains("\"certctl=loud\" is no log filter"), "{error}");
        assert!(error.contains("info,certctl::sds=debug"), "{error}");
    }

    #[test]
    fn levels_are_set_for_all_and_by_part_however_they_are_spaced() {
        for filter in ["warn,certctl::sds=debug", " warn, certctl::sds=debug,"] {
            let targets = targets(filter).unwrap();
            assert!(targets.would_enable("certctl::sds::service", &tracing::Level::DEBUG));
            assert!(!targets.would_enable("certctl::engine", &tracing::Level::INFO));
            assert_eq!(targets.default_level(), Some(LevelFilter::WARN), "{filter:?}");
        }
    }

    #[test]
    fn whatever_is_asked_for_the_sdk_tells_of_no_whole_answers() {
        let log = tracing_subscriber::registry()
            .with(targets("trace,aws_smithy_runtime=trace").unwrap())
            .with(without_secrets());
        tracing::subscriber::with_default(log, || {
            assert!(!tracing::enabled!(target: "aws_smithy_runtime::client", Level::TRACE));
            assert!(!tracing::enabled!(target: "aws_sigv4::http_request", Level::TRACE));
            assert!(tracing::enabled!(target: "aws_smithy_runtime::client", Level::DEBUG));
            assert!(tracing::enabled!(target: "certctl::acm_pca", Level::TRACE));
        });
    }

    #[test]
    fn a_terminal_shows_the_time_of_day_alone() {
        let mut text = String::new();
        TimeOfDay.format_time(&mut Writer::new(&mut text)).unwrap();
        assert_eq!((text.len(), text.matches(':').count()), ("11:22:33Z".len(), 2), "{text}");
    }
}
