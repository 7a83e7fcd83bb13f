//! BGP messages octet by octet, for peers that say what no speaker would.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::thread::JoinHandle;

use crate::process::Outcome;

/// ORIGIN: IGP.
pub const IGP: &[u8] = &[0x40, 1, 1, 0];

const UPDATE: u8 = 2;
const ROUTE_REFRESH: u8 = 5;

/// A message (RFC 4271 section 4.1).
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (19 + body.len() as u16).to_be_bytes();
    [&[0xff; 16][..], &length, &[kind], body].concat()
}

/// OPEN with hold time 90, IPv4 unicast and the 4-octet AS, and the KEEPALIVE that follows it.
pub fn hello(asn: u32, identifier: Ipv4Addr) -> Vec<u8> {
    let old = u16::try_from(asn).unwrap_or(23_456).to_be_bytes();
    let capabilities = [&[1, 4, 0, 1, 0, 1, 65, 4][..], &asn.to_be_bytes()].concat();
    let count = capabilities.len() as u8;
    let body = [&[4][..], &old, &[0, 90], &identifier.octets(), &[count + 2, 2, count], &capabilities].concat();
    [message(1, &body), message(4, &[])].concat()
}

/// An UPDATE that announces `nlri` with these attributes.
pub fn update(attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = (attributes.len() as u16).to_be_bytes();
    message(UPDATE, &[&[0, 0], &length[..], &attributes, nlri].concat())
}

/// A mark of IPv4 unicast (RFC 7313 section 3.2): 1 is the beginning of a refresh, 2 its end.
pub fn mark(kind: u8) -> Vec<u8> {
    message(ROUTE_REFRESH, &[0, 1, kind, 1])
}

/// AS_PATH: one sequence.
pub fn as_path(path: &[u32]) -> Vec<u8> {
    let hops = path.iter().flat_map(|asn| asn.to_be_bytes());
    [0x40, 2, 2 + 4 * path.len() as u8, 2, path.len() as u8].into_iter().chain(hops).collect()
}

/// NEXT_HOP.
pub fn next_hop(address: Ipv4Addr) -> Vec<u8> {
    [&[0x40, 3, 4], &address.octets()[..]].concat()
}

/// A connection to the BGP speaker at `there`.
pub fn connect(there: Ipv4Addr) -> Outcome<TcpStream> {
    TcpStream::connect(SocketAddrV4::new(there, 179)).map_err(|e| format!("{there}: {e}"))
}

/// Says all of `octets`, and hears without listening until the connection ends.
pub fn say(mut stream: TcpStream, octets: Vec<u8>) -> JoinHandle<Outcome> {
    std::thread::spawn(move || {
        stream.write_all(&octets).map_err(|e| e.to_string())?;
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).map_err(|e| e.to_string())? > 0 {}
        Ok(())
    })
}
