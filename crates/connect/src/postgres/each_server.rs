//! Settings of a connection for each of several servers alone. The client has a time limit for each server only until the server
//! takes the connection: one that takes it and then says nothing would keep the client from the others for ever.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts};

/// The servers in their order, with everything else as it was. Those among which chance is to choose stay together, and so do those
/// whose lists do not fit each other, which the client refuses.
pub(super) fn each_server(config: Config) -> Vec<Config> {
    let count = server_count(&config);
    let counts = [config.get_hosts().len(), config.get_hostaddrs().len()];
    let port_count = config.get_ports().len();
    let fit = counts.iter().all(|&of| of == 0 || of == count) && (port_count <= 1 || port_count == count);
    if count <= 1 || !fit || config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        return vec![config];
    }
    (0..count).map(|index| server(&config, index)).collect()
}

/// How many servers there are to choose from.
pub(super) fn server_count(config: &Config) -> usize {
    config.get_hosts().len().max(config.get_hostaddrs().len())
}

fn server(config: &Config, index: usize) -> Config {
    let mut server = without_servers(config);
    match config.get_hosts().get(index) {
        Some(Host::Tcp(name)) => server.host(name),
        Some(Host::Unix(directory)) => server.host_path(directory),
        None => &mut server,
    };
    if let Some(address) = config.get_hostaddrs().get(index) {
        server.hostaddr(*address);
    }
    // One port is for all.
    let ports = config.get_ports();
    if let Some(port) = ports.get(index).or(ports.first()) {
        server.port(*port);
    }
    server
}

fn without_servers(config: &Config) -> Config {
    let mut copy = Config::new();
    if let Some(user) = config.get_user() {
        copy.user(user);
    }
    if let Some(password) = config.get_password() {
        copy.password(password);
    }
    if let Some(database) = config.get_dbname() {
        copy.dbname(database);
    }
    if let Some(options) = config.get_options() {
        copy.options(options);
    }
    if let Some(application) = config.get_application_name() {
        copy.application_name(application);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        copy.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        copy.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        copy.keepalives_interval(interval);
    }
    if let Some(count) = config.get_keepalives_retries() {
        copy.keepalives_retries(count);
    }
    copy.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_everything_else() {
        let rest = "user=shop password=s3cret dbname=sales options=-cjit=off application_name=till connect_timeout=7 \
                    tcp_user_timeout=8 keepalives=0 keepalives_idle=9 keepalives_interval=10 keepalives_retries=11 \
                    sslmode=require sslnegotiation=direct channel_binding=require target_session_attrs=read-write";
        for (servers, each) in [
            ("host=one", &["host=one"][..]),
            ("host=one port=6000", &["host=one port=6000"]),
            ("host=one,two", &["host=one", "host=two"]),
            ("host=one,two port=6000", &["host=one port=6000", "host=two port=6000"]),
            (
                "host=one,/run/postgresql,three port=6000,6001,6002",
                &["host=one port=6000", "host=/run/postgresql port=6001", "host=three port=6002"],
            ),
            (
                "host=one,two hostaddr=10.0.0.1,10.0.0.2",
                &["host=one hostaddr=10.0.0.1", "host=two hostaddr=10.0.0.2"],
            ),
            ("hostaddr=10.0.0.1,10.0.0.2", &["hostaddr=10.0.0.1", "hostaddr=10.0.0.2"]),
            ("host=one,two load_balance_hosts=random", &["host=one,two load_balance_hosts=random"]),
            ("host=one,two,three port=6000,6001", &["host=one,two,three port=6000,6001"]),
            ("host=one,two hostaddr=10.0.0.1", &["host=one,two hostaddr=10.0.0.1"]),
        ] {
            let of =
                |servers: &str| format!("{servers} {rest}").parse::<Config>().expect("settings of libpq");
            let expected: Vec<_> = each.iter().map(|server| of(server)).collect();
            assert_eq!(each_server(of(servers)), expected, "{servers}");
        }
    }
}
