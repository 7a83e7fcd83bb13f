//! `vpnsim man`: the arguments as man pages, one for each command.

use std::fs;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::Args;
use crate::failure::Failure;
use crate::whole::{self, Readers};
use crate::{Verdict, screen};

/// Arguments of `man`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ManPages {
    /// Write vpnsim.1, vpnsim-run.1 and so on into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the first page, or writes all of them.
pub fn man(typed: &ManPages) -> Result<Verdict, Failure> {
    let mut root = Args::command().disable_help_subcommand(true);
    root.build();
    match &typed.out {
        None => screen::answer(&String::from_utf8_lossy(&page(&Man::new(root))))?,
        Some(directory) => {
            fs::create_dir_all(directory).map_err(|error| Failure::undeliverable(directory, &error))?;
            let pages = pages(&root);
            for (name, text) in &pages {
                whole::write(&directory.join(name), text, Readers::All)?;
            }
            screen::remark(format_args!("wrote {} pages into {}", pages.len(), directory.display()));
        }
    }
    Ok(Verdict::Held)
}

/// The pages of a command and of all below it, with their file names.
fn pages(command: &Command) -> Vec<(String, Vec<u8>)> {
    let man = Man::new(command.clone());
    let mut all = vec![(man.get_filename(), page(&man))];
    all.extend(command.get_subcommands().flat_map(pages));
    all
}

fn page(man: &Man) -> Vec<u8> {
    let mut text = Vec::new();
    man.render(&mut text).expect("memory takes everything");
    text
}
