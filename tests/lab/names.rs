//! Names, as routers of homes pass them on: dnsmasq on a router.
//!
//! `/etc/hosts` alone would do for most programs. Chromium asks for the names of
//! STUN and TURN servers by DNS only.

use std::net::IpAddr;
use std::time::Duration;

use crate::eventually;
use crate::internet::Site;
use crate::process::Process;

/// Long for a machine that is busy with other tests.
const START: Duration = Duration::from_secs(20);

/// A name server within a site, which all of its hosts ask. It knows a few names
/// and says of all others that there are none. Killed when dropped.
#[derive(Debug)]
pub struct Names(#[expect(dead_code, reason = "held until it is dropped")] Process);

impl Names {
    /// Starts one on the site's router. Programs that are started on its hosts
    /// from now on ask it.
    pub fn start(site: &Site, names: &[(&str, IpAddr)]) -> Self {
        let at = site.gateway();
        let mut command = site.router().command("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file=",
        ]);
        command.args(["--user=root", "--no-resolv", "--no-hosts", "--address=/#/"]);
        command.args(["--bind-interfaces", "--except-interface=lo"]);
        command.arg(format!("--listen-address={at}"));
        for (name, address) in names {
            command.arg(format!("--host-record={name},{address}"));
        }
        let process = Process::spawn("dnsmasq", command);
        let listens = || {
            let sockets = site.router().output("ss", &["-Hln", "sport", "= 53"]);
            (sockets.lines().count() >= 2).then_some(())
        };
        eventually(START, "dnsmasq listens by UDP and TCP", listens);
        for host in site.hosts() {
            host.asks(at);
        }
        Self(process)
    }
}
