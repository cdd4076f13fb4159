//! What a stretch of work used: processor time of the servers, of the clients, and of everything else on the machine.

use serde::Serialize;

use crate::process::{Usage, client_cpu_seconds, machine_busy_seconds};

/// Counts from its start to its stop.
#[derive(Debug)]
pub(crate) struct Meter {
    servers: Vec<u32>,
    clients: Vec<u32>,
    server_before: Usage,
    client_before: f64,
    busy_before: f64,
}

/// What was used in between.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spent {
    /// By the servers and their children.
    pub(crate) server: Usage,
    pub(crate) client_cpu_seconds: f64,
    /// Processor seconds of the whole machine that neither server nor client used.
    pub(crate) foreign_cpu_seconds: f64,
}

impl Meter {
    /// `clients` are those beside this process and the children that it waits for before the stop.
    pub(crate) fn start(servers: &[u32], clients: &[u32]) -> Self {
        Self {
            servers: servers.to_vec(),
            clients: clients.to_vec(),
            server_before: Usage::of(servers),
            client_before: client_seconds(clients),
            busy_before: machine_busy_seconds(),
        }
    }

    pub(crate) fn stop(&self) -> Spent {
        let server = Usage::of(&self.servers).since(self.server_before);
        self.spent(server, client_seconds(&self.clients) - self.client_before)
    }

    /// For a server that was started and has ended in between: its time is in that of the children waited for.
    pub(crate) fn stop_with(&self, server: Usage) -> Spent {
        self.spent(server, client_seconds(&self.clients) - self.client_before - server.cpu_seconds)
    }

    fn spent(&self, server: Usage, client_cpu_seconds: f64) -> Spent {
        let known = server.cpu_seconds + client_cpu_seconds;
        let foreign_cpu_seconds = (machine_busy_seconds() - self.busy_before - known).max(0.0);
        Spent { server, client_cpu_seconds, foreign_cpu_seconds }
    }
}

fn client_seconds(clients: &[u32]) -> f64 {
    client_cpu_seconds() + Usage::of(clients).cpu_seconds
}
