//! Serves one constant reply: what actix itself can do with a callback on this machine.
//! Owns: the yardstick. Uses: actix with the server's settings. Never: anything of the server.

use actix_web::{App, HttpResponse, HttpServer, web};

/// What every request gets; as long as a rule's reply.
pub(crate) const REPLY: &str = "<xml>\n<ToUserName><![CDATA[oBench0000000000000000000000]]></ToUserName>\n<FromUserName><![CDATA[gh_7c1e40b95a2d]]></FromUserName>\n<CreateTime>1718706781</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[第10000条:每天十点到二十二点都有,到前台说编号10000就行,周末人多,早些来。]]></Content>\n</xml>";

/// Serves until it is killed.
pub(crate) fn serve(address: &str) -> anyhow::Result<()> {
    let app = || {
        App::new()
            .route(crate::wire::PATH, web::post().to(reply))
            .route("/readyz", web::get().to(HttpResponse::Ok))
    };
    let server = HttpServer::new(app).workers(1).bind(address)?;
    Ok(actix_web::rt::System::new().block_on(server.run())?)
}

async fn reply(body: web::Bytes) -> HttpResponse {
    if body.is_empty() {
        return HttpResponse::BadRequest().finish();
    }
    HttpResponse::Ok()
        .content_type("text/xml; charset=utf-8")
        .body(REPLY)
}
