//! `vpnsim new`: a scenario to start from, from flags, and on a terminal from questions about what they leave open.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, ValueEnum};
use dialoguer::Select;
use sim_scenarios::starter::{self, Starter};

use crate::failure::Failure;
use crate::whole::{self, Readers};
use crate::{Verdict, screen};

/// Arguments of `new`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = HOW)]
pub struct New {
    /// Where to write it; - is standard output
    pub file: PathBuf,
    /// AWS's gateway [default: vgw]
    #[arg(long, value_enum)]
    pub gateway: Option<Gateway>,
    /// How AWS learns the site's networks [default: bgp]
    #[arg(long, value_enum)]
    pub routing: Option<Routing>,
    /// Tunnels in use of each connection [default: 2]
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub tunnels: Option<u8>,
    /// Customer gateways, each with a connection of its own [default: 1]
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub customer_gateways: Option<u8>,
    /// Whether Direct Connect stands in front of the VPN [default: no]
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    pub direct_connect: Option<YesNo>,
    /// A stateful firewall on the customer gateway [default: none]
    #[arg(long, value_name = "PROFILE", value_parser = firewalls())]
    pub firewall: Option<String>,
    /// Whether the customer gateway is behind a NAT [default: no]
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    pub nat: Option<YesNo>,
    /// What fails [default: path]
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
    /// The device that the customer gateway is [default: generic]
    #[arg(long, value_name = "DEVICE", value_parser = PossibleValuesParser::new(Starter::profiles()))]
    pub profile: Option<String>,
    /// Replace FILE if it is there
    #[arg(long)]
    pub force: bool,
    /// Ask nothing: what is not given has its default
    #[arg(long)]
    pub defaults: bool,
}

const HOW: &str = "\
On a terminal, what the flags leave open is asked. Elsewhere, and with --defaults, it has its default.

--direct-connect and --nat are enough by themselves; --nat=no answers the question with no.";

/// AWS's gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gateway {
    /// A virtual private gateway
    Vgw,
    /// A transit gateway
    Tgw,
}

/// Ways in which AWS learns of a site's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Routing {
    /// By BGP
    Bgp,
    /// By hand
    Static,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// There is none
    No,
    /// There is one
    Yes,
}

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Fault {
    /// The path of the tunnel in use goes silent
    Path,
    /// AWS's endpoint of the tunnel in use loses power
    Endpoint,
    /// The customer gateway in use loses power
    CustomerGateway,
    /// The line of Direct Connect goes silent
    Line,
}

const NO_FIREWALL: &str = "none";

fn firewalls() -> PossibleValuesParser {
    PossibleValuesParser::new([NO_FIREWALL].into_iter().chain(Starter::firewalls()))
}

/// Writes the scenario.
pub fn new(typed: New) -> Result<Verdict, Failure> {
    let to_stdout = typed.file == Path::new("-");
    if !to_stdout && !typed.force && typed.file.exists() {
        return Err(occupied(&typed.file));
    }
    let asks = !typed.defaults && io::stdin().is_terminal() && io::stderr().is_terminal();
    let starter = chosen(&typed, &Questions { asks })?;
    let text = starter
        .text()
        .map_err(|refused| Failure::Refused { what: refused.why.into(), help: Some(refused.help.into()) })?;
    if to_stdout {
        screen::answer(&text)?;
        return Ok(Verdict::Held);
    }
    if typed.force {
        whole::write(&typed.file, text.as_bytes(), Readers::All)?;
    } else if !whole::write_new(&typed.file, text.as_bytes())? {
        // Somebody else was faster.
        return Err(occupied(&typed.file));
    }
    let file = typed.file.display();
    screen::remark(format_args!("wrote {file}. Next: vpnsim check {file} --advise, vpnsim run {file}"));
    Ok(Verdict::Held)
}

fn occupied(file: &Path) -> Failure {
    Failure::Undeliverable {
        path: file.display().to_string(),
        reason: "it is there already".into(),
        help: Some("--force replaces it".into()),
    }
}

/// What was typed, answered, or left to its default.
fn chosen(typed: &New, questions: &Questions) -> Result<Starter, Failure> {
    let gateway = questions.choose("AWS's gateway", typed.gateway, Gateway::Vgw)?;
    let routing = questions.choose("How AWS learns the site's networks", typed.routing, Routing::Bgp)?;
    let tunnels = questions.count("Tunnels in use of each connection", typed.tunnels, 2)?;
    let customer_gateways = questions.count("Customer gateways", typed.customer_gateways, 1)?;
    let direct_connect = questions.choose("Direct Connect in front of the VPN", typed.direct_connect, YesNo::No)?;
    let names: Vec<&str> = [NO_FIREWALL].into_iter().chain(Starter::firewalls()).collect();
    let firewall = questions.name("Firewall on the customer gateway", typed.firewall.clone(), &names)?;
    let nat = questions.choose("A NAT in front of it", typed.nat, YesNo::No)?;
    let fault = questions.choose("What fails", typed.fault, Fault::Path)?;
    let names: Vec<&str> = Starter::profiles().collect();
    let profile = questions.name("Which device it is", typed.profile.clone(), &names)?;
    Ok(Starter {
        name: name(&typed.file),
        gateway: match gateway {
            Gateway::Vgw => starter::Gateway::Vgw,
            Gateway::Tgw => starter::Gateway::Tgw,
        },
        routing: match routing {
            Routing::Bgp => starter::Routing::Bgp,
            Routing::Static => starter::Routing::Static,
        },
        tunnels: tunnels.into(),
        customer_gateways: customer_gateways.into(),
        direct_connect: direct_connect == YesNo::Yes,
        firewall: Some(firewall).filter(|name| name != NO_FIREWALL),
        nat: nat == YesNo::Yes,
        failure: match fault {
            Fault::Path => starter::Failure::Path,
            Fault::Endpoint => starter::Failure::Endpoint,
            Fault::CustomerGateway => starter::Failure::CustomerGateway,
            Fault::Line => starter::Failure::Line,
        },
        profile: Some(profile),
    })
}

/// The scenario is called like its file.
fn name(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).filter(|stem| stem != "-");
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    stem.map_or_else(|| "starter".to_owned(), |stem| stem.chars().map(plain).collect())
}

/// Asks what was not typed, if somebody is there.
struct Questions {
    asks: bool,
}

impl Questions {
    fn choose<T: ValueEnum + PartialEq>(&self, question: &str, typed: Option<T>, default: T) -> Result<T, Failure> {
        let all = T::value_variants();
        let first = all.iter().position(|value| *value == default).unwrap_or(0);
        let words: Vec<String> = all
            .iter()
            .filter_map(ValueEnum::to_possible_value)
            .map(|value| match value.get_help() {
                Some(help) => format!("{}: {help}", value.get_name()),
                None => value.get_name().to_owned(),
            })
            .collect();
        match typed {
            Some(typed) => Ok(typed),
            None => Ok(all[self.ask(question, &words, first)?].clone()),
        }
    }

    fn count(&self, question: &str, typed: Option<u8>, default: u8) -> Result<u8, Failure> {
        let words = ["1".to_owned(), "2".to_owned()];
        match typed {
            Some(typed) => Ok(typed),
            None => Ok(1 + self.ask(question, &words, usize::from(default) - 1)? as u8),
        }
    }

    fn name(&self, question: &str, typed: Option<String>, names: &[&str]) -> Result<String, Failure> {
        let words: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        match typed {
            Some(typed) => Ok(typed),
            None => Ok(words[self.ask(question, &words, 0)?].clone()),
        }
    }

    /// The number of the answer; of the default, if nobody is there.
    fn ask(&self, question: &str, words: &[String], default: usize) -> Result<usize, Failure> {
        if !self.asks {
            return Ok(default);
        }
        let asked = Select::new().with_prompt(question).items(words).default(default).interact();
        asked.map_err(|error| Failure::Refused {
            what: format!("the question was not answered: {error}"),
            help: Some("flags answer it, too; --defaults asks nothing".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_called_like_its_file() {
        assert_eq!(name(Path::new("some/where/our site.ron")), "our_site");
        assert_eq!(name(Path::new("-")), "starter");
        assert_eq!(name(Path::new("q\"uote.ron")), "q_uote");
    }
}
