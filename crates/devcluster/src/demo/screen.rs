//! Shows facts as lines, each once, with the time since the execution was asked for.

use std::{
    collections::HashSet,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use owo_colors::{OwoColorize, Style};

use super::facts::{Fact, Tone};

/// What was shown already, and since when.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    began: Instant,
    colored: bool,
    shown: HashSet<Fact>,
}

impl Screen<io::Stdout> {
    /// Standard output, in colours where a person looks at it (and `NO_COLOR` is not set).
    pub(super) fn new() -> Self {
        let colored = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self::on(io::stdout(), colored)
    }
}

impl<W: Write> Screen<W> {
    fn on(out: W, colored: bool) -> Self {
        Self {
            out,
            began: Instant::now(),
            colored,
            shown: HashSet::new(),
        }
    }

    /// Shows those of the facts that were not shown before.
    pub(super) fn tell(&mut self, facts: Vec<Fact>) -> io::Result<()> {
        let since = self.began.elapsed();
        for fact in facts {
            if !self.shown.contains(&fact) {
                writeln!(self.out, "{}", line(since, &fact, self.colored))?;
                self.shown.insert(fact);
            }
        }
        self.out.flush()
    }
}

fn line(since: Duration, fact: &Fact, colored: bool) -> String {
    let time = format!("[{:5.2} s]", since.as_secs_f64());
    let topic = format!("{:<9}", fact.topic);
    if !colored {
        return format!("{time} {topic} {}", fact.text);
    }
    let style = match fact.tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().green(),
        Tone::Bad => Style::new().red().bold(),
    };
    format!(
        "{} {} {}",
        time.dimmed(),
        topic.cyan(),
        fact.text.style(style)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_shown_once_and_a_changed_one_again() {
        let mut screen = Screen::on(Vec::new(), false);
        for text in ["2 of 5", "2 of 5", "5 of 5"] {
            screen.tell(vec![Fact::new("target", text)]).unwrap();
        }
        let text = String::from_utf8(screen.out).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("target    5 of 5\n"), "{text}");
    }

    #[test]
    fn a_line_has_colours_only_where_they_are_wanted() {
        let fact = Fact::new("job", "kexec-1");
        let plain = line(Duration::from_millis(1250), &fact, false);
        assert_eq!(plain, "[ 1.25 s] job       kexec-1");
        assert!(line(Duration::ZERO, &fact, true).contains("\u{1b}["));
    }
}
