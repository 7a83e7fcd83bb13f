//! What endpoints of tunnels shall announce to their customer gateways: what is in the table of their attachment, but for what leads back
//! into it and what is dropped.

use std::sync::Arc;

use ipnet::IpNet;

use super::{Attached, Tgw, tunnel_port};
use crate::id::{Port, RecordId};
use crate::node::{Announced, Cx, Notice};
use crate::time::Duration;

/// A prefix of which a table says something else than before, since a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    pub prefix: IpNet,
    pub cause: RecordId,
}

impl Tgw {
    /// Has the endpoints of all attachments announce what is new in the table that they are associated with, or no longer: one notice for
    /// each, however many prefixes.
    pub(super) fn tell(&mut self, cx: &mut Cx) {
        let news = core::mem::take(&mut self.news);
        for table in 0..self.tables.len() as u8 {
            let of_table: Vec<News> = news.iter().filter(|(of, _)| *of == table).map(|(_, news)| *news).collect();
            if of_table.is_empty() {
                continue;
            }
            let to_all = self.announced(table, &of_table, &[]);
            for attachment in self.config.attachments.iter().filter(|a| a.association == Some(table)) {
                let Attached::Tunnels { tunnels, .. } = &attachment.to else { continue };
                for tunnel in tunnels {
                    let siblings = self.siblings(*tunnel, tunnels);
                    let own = of_table.iter().any(|news| self.leads_into(table, news.prefix, siblings));
                    let routes = if own { self.announced(table, &of_table, siblings) } else { Arc::clone(&to_all) };
                    self.announce_to(cx, *tunnel, routes);
                }
            }
        }
    }

    /// The tunnels that lead where this one does: those of its attachment, and on a VPN Concentrator those of its site.
    fn siblings<'a>(&'a self, tunnel: u16, of_attachment: &'a [u16]) -> &'a [u16] {
        let site = self.config.sites.iter().find(|(tunnels, _)| tunnels.contains(&tunnel));
        site.map_or(of_attachment, |(tunnels, _)| tunnels)
    }

    /// Has the endpoint of a tunnel that has forgotten it announce all that is in the table of its attachment.
    pub(super) fn tell_again(&self, cx: &mut Cx, port: Port) {
        let attachment = self.attachment(port);
        if let (Attached::Tunnels { tunnels, .. }, Some(table)) = (&attachment.to, attachment.association) {
            let news: Vec<News> = self.prefixes(table).map(|prefix| News { prefix, cause: cx.cause }).collect();
            self.announce_to(cx, port.0, self.announced(table, &news, self.siblings(port.0, tunnels)));
        }
    }

    /// True if packets to a prefix take one of these tunnels.
    fn leads_into(&self, table: u8, prefix: IpNet, tunnels: &[u16]) -> bool {
        let ways = self.tables[usize::from(table)].in_force.get(&prefix).map_or(&[][..], |chosen| &chosen.ways);
        ways.iter().any(|port| tunnels.iter().any(|tunnel| tunnel_port(*tunnel) == *port))
    }

    /// What a table says of prefixes to who has these tunnels: not what leads back into them, nor what is dropped.
    fn announced(&self, table: u8, news: &[News], tunnels: &[u16]) -> Arc<[Announced]> {
        let said = |News { prefix, cause }: &News| {
            let route = self.tables[usize::from(table)].in_force.get(prefix);
            let route = route.filter(|chosen| !chosen.ways.is_empty() && !self.leads_into(table, *prefix, tunnels));
            Announced { prefix: *prefix, as_path: route.map(|chosen| chosen.as_path.clone()), cause: *cause }
        };
        news.iter().map(said).collect()
    }

    fn announce_to(&self, cx: &mut Cx, tunnel: u16, routes: Arc<[Announced]>) {
        cx.notify(self.config.endpoints[usize::from(tunnel)], Duration::ZERO, Notice::Announce(routes));
    }
}
