"""Puts one hub together: the database, the spokes and the pages, as an aiohttp application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from fedcomm import access_files, erasures, imports, janitor, retention, supervision, sweeper
from fedcomm.config import Config
from fedcomm.federation.spoke import FederationSpoke
from fedcomm.federation.vault import Vault
from fedcomm.http import SITE
from fedcomm.hub.canary import Status
from fedcomm.mail import MailFailed, alarms_to, mailer_of
from fedcomm.site import Site
from fedcomm.store.measured import measured
from fedcomm.store.pseudonyms import Pseudonyms
from fedcomm.store.schema import open_database
from fedcomm.tallies import Tallies

log = logging.getLogger("fedcomm")


async def open_site(config: Config) -> Site:
    """The site with its database open and its spokes built, not started.

    Raises SchemaMismatch, DatabaseUnavailable, VaultError.
    """
    db = await open_database(
        config.database.url,
        readers=config.database.readers,
        pool_size=config.database.pool_size,
        pseudonyms=Pseudonyms.under(config.secrets.key_file),
    )
    db = measured(db, slow_ms=config.logging.slow_statement_ms)
    site = Site(config, db)
    if config.federation.enabled:
        try:
            vault = Vault.load(config.secrets.key_file)
            site.federation = FederationSpoke(config, db, vault)
        except BaseException:
            # Its threads would keep the process alive after the error was said.
            await db.close()
            raise
        site.wakers.append(site.federation.wake)
    return site


async def close_site(site: Site) -> None:
    """Stop the spokes, finish what is being written, close the database. A second call does nothing."""
    if site.closed:
        return
    site.closed = True
    if site.federation is not None:
        await site.federation.stop()
    await site.db.close()


def build_app(site: Site) -> web.Application:
    """The application: its start starts the workers, its end closes the site."""
    from fedcomm.web.middleware import middlewares
    from fedcomm.web.routes import add_routes

    config = site.config
    warn_of_switches(config)
    raise_alarms(site)
    app = web.Application(middlewares=middlewares(), client_max_size=config.server.max_upload_bytes)
    app[SITE] = site
    if site.federation is not None:
        site.federation.add_routes(app)
    add_routes(app)
    app.cleanup_ctx.append(_life)
    return app


def raise_alarms(site: Site) -> None:
    """Tell administrators by mail when the canary is not heard any more, and when it is again."""
    mailer = mailer_of(site.config)
    if site.federation is None or mailer is None or not alarms_to(site.config):
        return

    async def tell(status: Status) -> None:
        from fedcomm.web.alarms import canary_letter

        try:
            await mailer.send(canary_letter(site.config, status))
        except MailFailed as error:
            # The admin page and /metrics say it all the same.
            log.error("the alarm could not be mailed: %s", error)

    site.federation.canary.on_change = tell


async def _life(app: web.Application) -> AsyncIterator[None]:
    site = app[SITE]
    # Nothing is served or sent before it has happened.
    await erasures.replay(site)
    if site.federation is not None:
        await site.federation.start(workers=site.config.server.workers)
    tallies = Tallies(site.db)
    tallies.on_change = site.wake
    rounds = (janitor, sweeper, erasures, imports, access_files, retention)
    tasks = []
    if site.config.server.workers:
        tasks = [supervision.start(each.__name__, partial(each.run, site)) for each in rounds]
        tasks.append(supervision.start("tallies", tallies.run))
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await close_site(site)


def warn_of_switches(config: Config) -> None:
    """Say loudly what a public server must not have switched on."""
    if config.federation.private_addresses:
        networks = ", ".join(str(network) for network in config.federation.private_addresses)
        log.warning("federation.private_addresses lets requests reach inward: %s", networks)
    if config.federation.any_port:
        log.warning("federation.any_port lets requests reach any port")
    if config.development.allow_http:
        log.warning("development.allow_http lets other servers be without encryption")
    if config.development.resolve:
        log.warning("development.resolve replaces the resolution of names")
