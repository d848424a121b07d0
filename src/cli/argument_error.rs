//! Messages about wrong arguments and settings. Those of clap repeat the wrong value, which may be a secret.

use std::{
    error::Error as _,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    Args as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::config::{self, Settings};

/// Exit status of a wrong command line, as clap has it.
const USAGE: u8 = 2;

/// Prints help and version on standard output and anything else on standard error, and returns the exit status.
pub(super) fn print(error: &clap::Error) -> ExitCode {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    // If the output is closed, the error cannot be reported anywhere.
    let _ignored = if is_help {
        error.print()
    } else {
        writeln!(
            io::stderr(),
            "uptok: {}\n`uptok --help` explains every command and setting.",
            explain(error)
        )
    };
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Names the argument or setting and what is wrong with it, without its value.
fn explain(error: &clap::Error) -> String {
    let argument = context_text(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{}: {}", name(argument), value_problem(error, argument))
        }
        ErrorKind::UnknownArgument => unknown_argument(error, argument),
        ErrorKind::InvalidSubcommand => {
            // From the least to the most similar.
            let suggestions = context_list(error, ContextKind::SuggestedSubcommand);
            format!("there is no such command{}", did_you_mean(suggestions.last()))
        }
        ErrorKind::MissingRequiredArgument => {
            format!("{} is missing", context_list(error, ContextKind::InvalidArg).join(", "))
        }
        ErrorKind::ArgumentConflict if argument == context_text(error, ContextKind::PriorArg) => {
            format!("{} is given more than once", name(argument))
        }
        ErrorKind::ArgumentConflict => {
            format!("{} cannot be combined with the other arguments", name(argument))
        }
        ErrorKind::InvalidUtf8 => match config::variables_not_utf8().join(", ") {
            variables if variables.is_empty() => "an argument is not UTF-8".to_owned(),
            variables => format!("{variables}: the value is not UTF-8"),
        },
        kind => {
            let problem = kind.as_str().unwrap_or("the arguments cannot be read");
            if argument.is_empty() { problem.to_owned() } else { format!("{}: {problem}", name(argument)) }
        }
    }
}

fn value_problem(error: &clap::Error, argument: &str) -> String {
    let value = context_text(error, ContextKind::InvalidValue);
    let choices = context_list(error, ContextKind::ValidValue);
    if value.is_empty() && error.kind() == ErrorKind::InvalidValue {
        return "a value is missing".to_owned();
    }
    if !choices.is_empty() {
        return format!("use one of {}", choices.join(", "));
    }
    match error.source().map(ToString::to_string) {
        Some(problem) if !repeats(&problem, value) => problem,
        _ => find_setting(argument).map_or("it is not valid".to_owned(), |setting| {
            format!(
                "it is not valid. It is: {}",
                setting.get_help().map(ToString::to_string).unwrap_or_default()
            )
        }),
    }
}

/// Whether `problem` contains `value`: a short one as a word, because it may well be part of another one.
fn repeats(problem: &str, value: &str) -> bool {
    let is_word = |word: &str| word.trim_matches(|it: char| !it.is_alphanumeric()) == value;
    (value.len() >= 4 && problem.contains(value)) || problem.split_whitespace().any(is_word)
}

/// Repeats only what looks like the name of an option: anything else may be a value in the wrong place.
fn unknown_argument(error: &clap::Error, argument: &str) -> String {
    let option = argument.split_once('=').map_or(argument, |(option, _value)| option);
    let is_name = option.strip_prefix("--").is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())
    });
    if !is_name {
        return "there is an argument too many; a value with spaces needs quotes, and one that begins with - is written \
                as --option=value"
            .to_owned();
    }
    let suggestion = context_text(error, ContextKind::SuggestedArg);
    format!("there is no option {option}{}", did_you_mean(Some(suggestion).filter(|it| !it.is_empty())))
}

fn did_you_mean(suggestion: Option<impl Display>) -> String {
    suggestion.map_or(String::new(), |suggestion| format!("; did you mean {suggestion}?"))
}

/// `UPTOK_LISTEN (--listen)` for a setting, else the argument as the help names it.
fn name(argument: &str) -> String {
    let variable = find_setting(argument).and_then(|setting| Some(setting.get_env()?.display().to_string()));
    let option = argument.split_whitespace().next().unwrap_or("an argument");
    variable.map_or(option.to_owned(), |variable| format!("{variable} ({option})"))
}

/// The setting that `argument`, such as `--listen <LISTEN>`, sets.
fn find_setting(argument: &str) -> Option<clap::Arg> {
    let long = argument.split_whitespace().next()?.strip_prefix("--")?;
    let settings = Settings::augment_args(clap::Command::new("uptok"));
    settings.get_arguments().find(|setting| setting.get_long() == Some(long)).cloned()
}

/// Empty if the error has no such text.
fn context_text(error: &clap::Error, kind: ContextKind) -> &str {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text,
        _ => "",
    }
}

fn context_list(error: &clap::Error, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts,
        _ => &[],
    }
}
