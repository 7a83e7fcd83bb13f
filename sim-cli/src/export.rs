//! `vpnsim export`: which tunnels, reached where, and where the text goes.
//!
//! A configuration holds pre-shared keys, so a file is readable by its owner alone, and is whole or not there.

use std::path::Path;

use sim_scenarios::Scenario;
use sim_scenarios::export::{self, Export, Order};
use sim_scenarios::plan::{Door, NodeKind, Plan, TunnelId};

use crate::failure::Failure;
use crate::job::ExportJob;
use crate::live::Listening;
use crate::screen;
use crate::whole::{self, Readers};

/// Writes what was ordered, and names what it could not say.
pub fn deliver(job: &ExportJob, scenario: &Scenario) -> Result<(), Failure> {
    let plan = scenario.plan();
    let tunnels = export::find(plan, &job.connection, job.tunnel.as_deref());
    let tunnels = tunnels.map_err(|none| Failure::NothingToExport { what: none.what, help: none.help })?;
    let doors = job.listening.as_ref().map(|listening| doors(plan, &tunnels, listening)).transpose()?;
    let order = Order { plan, tunnels, doors, local: job.local, policy_based: job.policy_based, redact: job.redact };
    let export = export::export(&order, job.format);
    for remark in &export.remarks {
        screen::remark(format_args!("warning: {remark}"));
    }
    match &job.out {
        None => screen::answer(&in_one(&export)),
        Some(path) => write(path, &export),
    }
}

/// The sockets of `vpnsim live` for these tunnels.
fn doors(plan: &Plan, tunnels: &[TunnelId], listening: &Listening) -> Result<Vec<Door>, Failure> {
    let gateway = plan.connections[tunnels[0].connection].customer_gateway;
    let NodeKind::CustomerGateway(told) = &plan.nodes[gateway.index()].kind else {
        return Err(Failure::NotMarked);
    };
    let external = listening.over(told.external.as_ref().ok_or(Failure::NotMarked)?);
    let all = plan.tunnels_of(gateway);
    let doors = external.doors(all.len()).ok_or(Failure::NoPortsLeft)?;
    Ok(all.iter().zip(doors).filter(|(id, _)| tunnels.contains(id)).map(|(_, door)| door).collect())
}

/// Everything in one text. What belongs into another file is a comment at its end, so that the text can be loaded.
fn in_one(export: &Export) -> String {
    let secrets = export.secrets.iter().flat_map(|secrets| secrets.lines());
    let secrets: String = secrets.map(|line| format!("#   {line}\n")).collect();
    match secrets.is_empty() {
        true => export.text.clone(),
        false => format!("{}\n# Pre-shared keys, for ipsec.secrets:\n{secrets}", export.text),
    }
}

fn write(path: &Path, export: &Export) -> Result<(), Failure> {
    if let Some(secrets) = &export.secrets {
        let beside = path.with_extension("secrets");
        if beside == path {
            return Err(Failure::Undeliverable {
                path: path.display().to_string(),
                reason: "that is where the pre-shared keys go".into(),
                help: Some("name the file .conf".into()),
            });
        }
        whole::write(&beside, secrets.as_bytes(), Readers::Owner)?;
        screen::remark(format_args!("wrote {}", beside.display()));
    }
    whole::write(path, export.text.as_bytes(), Readers::Owner)?;
    screen::remark(format_args!("wrote {}", path.display()));
    Ok(())
}
