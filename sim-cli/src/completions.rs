//! `vpnsim completions`: what a shell needs to complete vpnsim's arguments.

use clap::{Args as ClapArgs, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::Failure;
use crate::{Verdict, screen};

/// Arguments of `completions`.
#[derive(Clone, Copy, Debug, ClapArgs)]
#[command(after_help = HOW)]
pub struct Completions {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

const HOW: &str = "\
bash  vpnsim completions bash > ~/.local/share/bash-completion/completions/vpnsim
zsh   vpnsim completions zsh > DIR/_vpnsim, where DIR is one of $fpath
fish  vpnsim completions fish > ~/.config/fish/completions/vpnsim.fish";

/// Prints the script.
pub fn completions(typed: Completions) -> Result<Verdict, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut Args::command(), "vpnsim", &mut script);
    screen::answer(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Held)
}
