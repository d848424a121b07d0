//! Settings → API Keys in the browser.

pub(super) mod bulk_delete;
pub(super) mod form;
pub(super) mod list;
pub(super) mod one_key;
pub(super) mod row;

use actix_web::web::{ServiceConfig, get, post, resource};

use crate::web::page::see_other;
use list::INDEX;

/// The addresses of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/settings").route(get().to(async || see_other(INDEX))))
        .service(resource(INDEX).route(get().to(list::index)).route(post().to(list::create)))
        // Before the address of one key, which would take `delete` for its name.
        .service(
            resource("/settings/api-keys/delete")
                .route(get().to(bulk_delete::confirm_delete))
                .route(post().to(bulk_delete::delete)),
        )
        .service(
            resource("/settings/api-keys/{public_key}")
                .route(get().to(one_key::show))
                .route(post().to(one_key::change)),
        )
        .service(
            resource("/settings/api-keys/{public_key}/delete")
                .route(get().to(one_key::confirm_delete))
                .route(post().to(one_key::delete)),
        )
        .service(
            resource("/settings/api-keys/{public_key}/replacement")
                .route(get().to(one_key::confirm_replacement))
                .route(post().to(one_key::replace)),
        );
}
