//! A shop's database of products, warehouses and what each has, and a server that follows it.

use anyhow::{Context as _, Result, ensure};
use postgres::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::http::{self, Response, request, request_json};
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::source_database::{self, SourceDatabase};

/// Products that are there at first, from 1 on. Each is in the warehouses HN and HCM, and in DN, which is not active.
pub(super) const PRODUCT_COUNT: i64 = 400;

/// Whoever calls `pause` sleeps for as long as the table of that name says.
const TABLES: &str = "\
    CREATE TABLE product (product_id bigint PRIMARY KEY, sku text NOT NULL, name text NOT NULL); \
    CREATE TABLE ors_warehouse (id bigint PRIMARY KEY, code text NOT NULL, is_active int NOT NULL); \
    CREATE TABLE tala_warehouse_stock_item (product_id bigint, warehouse_id bigint, qty_salable int NOT NULL, \
        updated_at timestamp NOT NULL DEFAULT now(), PRIMARY KEY (product_id, warehouse_id)); \
    CREATE TABLE pause (seconds float8 NOT NULL); \
    INSERT INTO pause VALUES (0); \
    CREATE FUNCTION pause() RETURNS int LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(seconds) FROM pause; RETURN 0; END $$; \
    INSERT INTO ors_warehouse VALUES (1, 'HN', 1), (2, 'HCM', 1), (3, 'DN', 0)";

/// The query that docs/catalog/product-inventory.md gives.
const QUERY: &str = "\
SELECT p.product_id, p.sku, p.name, s.qty_salable, s.warehouses
FROM product p
CROSS JOIN LATERAL (
    SELECT sum(i.qty_salable) AS qty_salable,
           jsonb_agg(jsonb_build_object('warehouse_code', w.code, 'qty_salable', i.qty_salable) ORDER BY w.id) AS warehouses
    FROM tala_warehouse_stock_item i
    JOIN ors_warehouse w ON w.id = i.warehouse_id
    WHERE i.product_id = p.product_id AND w.is_active = 1
) s";

/// Which rows a server keeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    /// All, from the start.
    All,
    /// Those that were asked for. Whoever reads one pauses.
    Asked,
}

/// The database, and where settings of servers go.
#[derive(Debug)]
pub(super) struct Shop {
    database: SourceDatabase,
    directory: PathBuf,
}

impl Shop {
    pub(super) fn make(services: &Services, directory: &Path) -> Result<Self> {
        let products = format!("SELECT n FROM generate_series(1, {PRODUCT_COUNT}) AS n");
        let rows = format!(
            "{TABLES}; INSERT INTO product SELECT n, 'SKU-' || n, 'Lamp ' || n FROM ({products}) AS p; \
             INSERT INTO tala_warehouse_stock_item SELECT n, id, 1000 * id + n FROM ({products}) AS p, ors_warehouse"
        );
        let database = SourceDatabase::make(services, "onrush_inventory", &rows)?;
        Ok(Self { database, directory: directory.to_owned() })
    }

    pub(super) fn client(&self) -> Result<Client> {
        self.database.client()
    }

    /// The address of the database's server.
    pub(super) fn address(&self) -> SocketAddr {
        self.database.address()
    }

    /// A launch of this name whose server reaches the database at this port. What `more` says is of the collection.
    pub(super) fn launch(
        &self,
        launch: Launch,
        name: &str,
        kept: Kept,
        port: u16,
        more: &str,
    ) -> Result<Launch> {
        let (query, rest) = match kept {
            Kept::All => (QUERY.to_owned(), ""),
            Kept::Asked => {
                let query = format!("SELECT i.*, pause() AS pause FROM ({QUERY}) AS i");
                (query, "load = false\nabsent_ms = 600000\n")
            }
        };
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).context("make a directory")?;
        // A name, and not an address: certificates are of names.
        let database = self.database.settings(&directory, "localhost", port)?;
        let keys =
            "SELECT product_id FROM tala_warehouse_stock_item WHERE warehouse_id = ANY($1::text[]::bigint[])";
        let text = format!(
            "[scenarios]\nproduct_inventory = true\n\n[catalog]\nwait_ms_max = 20000\n\n\
             [catalog.product_inventory]\n{database}publication = \"{name}\"\nreplication_slot = \"onrush_inventory_{name}\"\n\
             key = \"product_id\"\nquery = \"\"\"\n{query}\n\"\"\"\n{rest}{more}\n\
             [catalog.product_inventory.watch]\nproduct = {{ column = \"product_id\" }}\n\
             tala_warehouse_stock_item = {{ column = \"product_id\" }}\n\
             ors_warehouse = {{ column = \"id\", keys = \"{keys}\" }}\n"
        );
        let settings = source_database::write_settings(&directory, &text)?;
        let mut launch = launch.arguments(&["--config", &settings.display().to_string()]);
        launch.data = directory.join("data");
        launch.output = directory.join("server.log");
        Ok(launch)
    }

    /// Prepares the database for the launch of this name, as an operator does.
    pub(super) fn prepare(&self, launch: &Launch, name: &str) -> Result<()> {
        let settings = self.directory.join(name).join("onrush.toml");
        source_database::prepare(launch, &settings, &["product_inventory"])
    }
}

/// The answer to `GET /cache`.
pub(super) fn ask_line(public: SocketAddr, id: i64) -> Result<Response> {
    http::once(public, &request("GET", &line_target(id)))
}

pub(super) fn line_target(id: i64) -> String {
    format!("/cache?product_id={id}")
}

/// The bytes that ask for many products at once, as clients of the service send them.
pub(super) fn many_request(ids: &[i64]) -> Vec<u8> {
    let body = json!({"api": "v1", "product_ids": ids}).to_string();
    request_json("POST", "/v1/product-inventory", &[], &body)
}

/// The rows of a server are from now on as the database is now, or newer.
pub(super) fn await_now(server: &Server, client: &mut Client) -> Result<()> {
    let version = SourceDatabase::version(client)?;
    let target = format!("/v1/catalog/product_inventory/1?min_version={version}");
    let answer = http::once(server.public(), &request("GET", &target))?;
    ensure!(answer.status == 200, "version {version} is answered {} {}", answer.status, answer.text());
    Ok(())
}

/// Holds what the server tells of these products against the tables, which nobody changes now.
pub(super) fn compare(server: &Server, client: &mut Client, ids: &[i64]) -> Result<()> {
    await_now(server, client)?;
    let tables = Tables::read(client)?;
    for ids in ids.chunks(100) {
        let told: Value = http::once(server.public(), &many_request(ids))?.expect(200)?;
        let expected = tables.answer(ids);
        ensure!(told == expected, "the inventory is\n{told}\nand the tables say\n{expected}");
    }
    Ok(())
}

/// What the tables have, read one by one and put together here.
struct Tables {
    products: Vec<i64>,
    /// Codes of those that are active.
    warehouses: BTreeMap<i64, String>,
    units: BTreeMap<(i64, i64), i32>,
}

impl Tables {
    fn read(client: &mut Client) -> Result<Self> {
        let products = client.query("SELECT product_id FROM product", &[])?;
        let warehouses = client.query("SELECT id, code FROM ors_warehouse WHERE is_active = 1", &[])?;
        let units = "SELECT product_id, warehouse_id, qty_salable FROM tala_warehouse_stock_item";
        let units = client.query(units, &[])?;
        Ok(Self {
            products: products.iter().map(|row| row.get(0)).collect(),
            warehouses: warehouses.iter().map(|row| (row.get(0), row.get(1))).collect(),
            units: units.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect(),
        })
    }

    fn answer(&self, ids: &[i64]) -> Value {
        let mut answer = json!({"meta": {}});
        let known = ids.iter().filter(|id| self.products.contains(id));
        let data = known.map(|id| self.product(*id)).collect::<Vec<_>>();
        if !data.is_empty() {
            answer["data"] = data.into();
        }
        answer
    }

    /// A product, without what is zero or empty.
    fn product(&self, id: i64) -> Value {
        let mut product = json!({"product_id": id.to_string()});
        let of_product = self.units.range((id, i64::MIN)..=(id, i64::MAX));
        let warehouses = of_product.filter_map(|((_, warehouse), units)| {
            let code = self.warehouses.get(warehouse)?;
            let mut told = json!({"warehouse_code": code});
            if *units != 0 {
                told["qty_salable"] = json!(units);
            }
            Some(told)
        });
        let warehouses = warehouses.collect::<Vec<_>>();
        if !warehouses.is_empty() {
            product["data"] = warehouses.into();
        }
        product
    }
}
