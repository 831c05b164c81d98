//! The tutorial, done as a reader does it: its blocks are typed, saved and compared as the page has them.
//!
//! * A block of `sh` is typed into the terminal that the text before it names last, or into that of the block before.
//! * A block of `text` is what the reader sees there, `…` standing for anything.
//! * A block of `rust` or `toml` is saved as the file that the text before it names last.
//! * A block of `diff` is done to the file that the text before it names last.
//!
//! Two things differ from what the reader does: brighter comes from this repository, and RabbitMQ has the address of
//! the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use brighter_book::{Block, Page, root};
use brighter_test_servers::patience;

use crate::terminal::Terminal;
use crate::virtual_host::VirtualHost;

/// The first run after a change may compile all of brighter.
const COMPILING: Duration = Duration::from_secs(900);
/// Until what a dead worker had comes again: its lease, and what the worker does with it.
const RUNNING: Duration = Duration::from_secs(60);
/// The commands that only look.
const LOOKS: [&str; 3] = ["cat ", "sort ", "cargo run --quiet -- dead"];
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The address on the page.
const RABBITMQ: &str = "amqp://guest:guest@localhost:5672/%2f";

#[test]
fn the_first_task_queue_works_as_its_page_says() {
    let page = Page::read("docs/book/src/tutorial/first-task-queue.md").unwrap();
    let host = VirtualHost::create("tutorial");
    let folder = tempfile::tempdir().unwrap();
    configure_cargo(folder.path());
    let mut reader = Reader::at(folder.path(), &host.url());
    let blocks = page.blocks();
    for block in &blocks {
        reader
            .follow(block)
            .unwrap_or_else(|what| panic!("line {} of the tutorial: {what}", block.line));
    }
    drop(reader);
    println!("tutorial: {} blocks done as they stand on the page", blocks.len());
}

/// Has brighter come from here, and builds it into a folder that is kept.
fn configure_cargo(folder: &Path) {
    let root = root().canonicalize().unwrap();
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let config = format!(
        "[patch.crates-io]\nbrighter.path = {:?}\n[build]\ntarget-dir = {:?}\n[net]\noffline = true\n\
         [profile.dev]\ndebug = false\n",
        root.join("brighter"),
        target.join("tutorial"),
    );
    fs::create_dir(folder.join(".cargo")).unwrap();
    fs::write(folder.join(".cargo/config.toml"), config).unwrap();
}

struct Reader {
    folder: PathBuf,
    rabbitmq: String,
    terminals: [Terminal; 2],
    /// Which terminal the page speaks of.
    at: usize,
    /// The block that was typed last, if it is not yet known to be done.
    typed: Option<(usize, String)>,
    /// Whether the program was changed since it ran last.
    changed: bool,
}

impl Reader {
    fn at(folder: &Path, rabbitmq: &str) -> Self {
        let open = |name| {
            let mut shell = Command::new("sh");
            shell
                .current_dir(folder)
                .env("LC_ALL", "C")
                .env_remove("CARGO_TARGET_DIR");
            for (name, _) in env::vars_os() {
                // What cargo says to a test is not for the reader's programs.
                if name
                    .to_str()
                    .is_some_and(|name| name.starts_with("CARGO_PKG") || name.starts_with("BRIGHTER"))
                {
                    shell.env_remove(name);
                }
            }
            Terminal::open(name, &mut shell)
        };
        Self {
            folder: folder.to_owned(),
            rabbitmq: rabbitmq.to_owned(),
            terminals: [open("first terminal"), open("second terminal")],
            at: 0,
            typed: None,
            changed: true,
        }
    }

    fn follow(&mut self, block: &Block) -> Result<(), String> {
        let (first, second) = (
            block.intro.rfind("first terminal"),
            block.intro.rfind("second terminal"),
        );
        if first != second {
            self.at = usize::from(second > first);
        }
        match block.language() {
            "sh" => self.type_in(&block.code),
            "text" => self.look(&block.code),
            "rust" | "toml" => self.save(block.named().ok_or("no file is named")?, &block.code),
            "diff" => self.change(block.named().ok_or("no file is named")?, &block.code),
            other => Err(format!("what is a reader to do with `{other}`?")),
        }
    }

    fn type_in(&mut self, code: &str) -> Result<(), String> {
        self.finish_typed()?;
        if code.contains("kill -9") {
            self.terminals
                .iter_mut()
                .for_each(|terminal| terminal.killed = true);
        }
        self.terminals[self.at].type_in(code);
        self.typed = Some((self.at, code.to_owned()));
        Ok(())
    }

    fn deadline(&self) -> Duration {
        if self.changed {
            COMPILING
        } else {
            patience(RUNNING)
        }
    }

    /// Waits for the block before, if it is one that ends: a command that the page says something of may go on.
    fn finish_typed(&mut self) -> Result<(), String> {
        if let Some((terminal, _)) = self.typed.take() {
            self.terminals[terminal].finish(self.deadline())?;
        }
        Ok(())
    }

    fn look(&mut self, expected: &str) -> Result<(), String> {
        let deadline = self.deadline();
        let end = Instant::now() + deadline;
        match self.typed.take() {
            // What only looks is done again until all is there, as by a reader who was quick.
            Some((terminal, code)) if LOOKS.iter().any(|look| code.starts_with(look)) => {
                while let Err(missing) = self.terminals[terminal].expect(expected, LOOK_AGAIN) {
                    if Instant::now() > end {
                        return Err(missing);
                    }
                    self.terminals[terminal].type_in(&code);
                }
            }
            _ => self.terminals[self.at].expect(expected, deadline)?,
        }
        self.changed = false;
        Ok(())
    }

    fn save(&mut self, file: &str, code: &str) -> Result<(), String> {
        self.finish_typed()?;
        let path = self.folder.join("reminders").join(file);
        if file == "Cargo.toml" {
            // The versions that this repository has: those are on this machine.
            let lock = root().join("Cargo.lock");
            fs::copy(lock, path.with_extension("lock")).unwrap();
        }
        self.changed = true;
        fs::write(&path, code).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn change(&mut self, file: &str, diff: &str) -> Result<(), String> {
        self.finish_typed()?;
        let path = self.folder.join("reminders").join(file);
        let mut text = fs::read_to_string(&path).unwrap();
        let of = |sign: char| diff.lines().filter_map(move |line| line.strip_prefix(sign));
        let (before, after): (Vec<_>, Vec<_>) = (of('-').collect(), of('+').collect());
        if before.is_empty() || before.len() != after.len() {
            return Err("a change has as many lines before as after".to_owned());
        }
        for (before, after) in before.into_iter().zip(after) {
            if text.matches(before).count() != 1 {
                return Err(format!("this is not once in {file}: {before}"));
            }
            text = text.replace(before, &after.replace(RABBITMQ, &self.rabbitmq));
        }
        self.changed = true;
        fs::write(&path, text).unwrap();
        Ok(())
    }
}
