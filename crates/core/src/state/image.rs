//! A sale at one moment, for readers that do not wait for whoever decides: it shares the name and the terms with the state
//! and has figures of its own, so making one costs as much as the sale has stocks.

use std::sync::Arc;

use super::{Sale, State, sale::StockUnits};
use crate::{
    STOCKS_PER_PAGE_MAX, SaleNo, SaleStatus, SaleTerms, SaleVersion, SaleView, SalesPage, StockView, TimeMs,
};

/// A sale as it stood when the image was made.
pub struct SaleImage {
    no: SaleNo,
    name: Arc<str>,
    version: SaleVersion,
    terms: Arc<SaleTerms>,
    figures: Box<[StockUnits]>,
}

impl State {
    /// The image of the sale of this number, unless it is archived.
    pub fn sale_image(&self, no: SaleNo) -> Option<SaleImage> {
        self.sales.get(&self.hash, no).map(SaleImage::of)
    }

    /// Images of all sales, in the order of their names.
    pub fn sale_images(&self) -> impl Iterator<Item = SaleImage> {
        self.sales.after(None).map(SaleImage::of)
    }

    /// The name of the sale of this number, unless it is archived.
    pub fn sale_name(&self, no: SaleNo) -> Option<Arc<str>> {
        self.sales.get(&self.hash, no).map(|sale| Arc::clone(&sale.name))
    }
}

impl SaleImage {
    fn of(sale: &Sale) -> Self {
        Self {
            no: sale.no,
            name: Arc::clone(&sale.name),
            version: sale.version,
            terms: Arc::clone(&sale.terms),
            figures: sale.figures.as_slice().into(),
        }
    }

    /// The sale's number.
    pub fn no(&self) -> SaleNo {
        self.no
    }

    /// The sale's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The sale as it stands when the wall clock shows `wall`.
    pub fn view(&self, wall: TimeMs) -> SaleView {
        let Self { no, name, version, terms, figures } = self;
        Parts { no: *no, name, version: *version, terms, figures }.view(wall)
    }

    /// At most `limit` of these sales.
    pub fn page(sales: impl Iterator<Item = Arc<Self>>, limit: usize, wall: TimeMs) -> SalesPage {
        page(sales.map(|sale| (sale.terms.stocks.len(), move || sale.view(wall))), limit)
    }
}

/// At most `limit` sales, each told as how many stocks it has and how to make its view.
pub(super) fn page(
    sales: impl Iterator<Item = (usize, impl FnOnce() -> SaleView)>,
    limit: usize,
) -> SalesPage {
    let mut page = SalesPage { sales: Vec::new(), has_more: false };
    let mut stock_count = 0;
    for (of_sale, view) in sales {
        if page.sales.len() == limit || stock_count >= STOCKS_PER_PAGE_MAX {
            page.has_more = true;
            break;
        }
        stock_count += of_sale;
        page.sales.push(view());
    }
    page
}

impl Sale {
    /// The sale as it stands when the wall clock shows `wall`.
    pub(super) fn view(&self, wall: TimeMs) -> SaleView {
        let Self { no, name, version, terms, figures, .. } = self;
        Parts { no: *no, name, version: *version, terms, figures }.view(wall)
    }
}

/// What a sale and its image have in common.
struct Parts<'a> {
    no: SaleNo,
    name: &'a str,
    version: SaleVersion,
    terms: &'a SaleTerms,
    figures: &'a [StockUnits],
}

impl Parts<'_> {
    fn view(&self, wall: TimeMs) -> SaleView {
        let terms = self.terms;
        let mut stocks: Vec<StockView> = terms
            .stocks
            .iter()
            .zip(self.figures)
            .map(|(terms, figures)| StockView {
                stock: terms.stock.clone(),
                title: terms.title.clone(),
                starts_at: terms.starts_at,
                ends_at: terms.ends_at,
                closes_at: terms.closes_at,
                is_closed: terms.is_closed(wall),
                quantity_total: terms.quantity_total,
                quantity_held: figures.held,
                quantity_confirmed: figures.confirmed,
            })
            .collect();
        // Stable, and they come in the order of names.
        stocks.sort_by_key(|stock| stock.starts_at);
        SaleView {
            sale_no: self.no,
            sale: self.name.to_owned(),
            version: self.version,
            title: terms.title.clone(),
            opens_at: terms.opens_at,
            closes_at: terms.closes_at,
            per_customer_max: terms.per_customer_max,
            hold_ttl_ms: terms.hold_ttl_ms,
            gate: terms.gate,
            status: self.status(wall),
            stocks,
        }
    }

    fn status(&self, wall: TimeMs) -> SaleStatus {
        let is_sold_out = || {
            let mut stocks = self.terms.stocks.iter().zip(self.figures);
            stocks.all(|(terms, figures)| terms.quantity_total == figures.taken() || terms.is_closed(wall))
        };
        if self.terms.closes_at.is_some_and(|closes_at| closes_at <= wall) {
            SaleStatus::Closed
        } else if self.terms.opens_at.is_some_and(|opens_at| wall < opens_at) {
            SaleStatus::Scheduled
        } else if is_sold_out() {
            SaleStatus::SoldOut
        } else {
            SaleStatus::Open
        }
    }
}
