"""A Django site with the real drf-jwt-knox at `/` and the real django-rest-knox at `/knox/`.

    django_site.py DATABASE

DATABASE is an SQLite file, made if it is not there, or a `postgres://` URL. JWT_SECRET_KEY must be set; JWT_ISSUER and
JWT_AUDIENCE may be. The users are alice/wonderland and bob/builder. Knox is version 5; PYTHONPATH=target/interop/knox4
makes it version 4.
The first line of output is `listening on 127.0.0.1:PORT`; the site ends when its standard input does.
"""

import os
import sys
import threading
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.urls import include, path


def database(address):
    if not address.startswith("postgres://"):
        # Another server writes to the file too: wait for it, and take the write lock when a transaction begins.
        options = {"timeout": 10, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": address, "OPTIONS": options}
    url = urlsplit(address)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.removeprefix("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname,
        "PORT": url.port or "",
    }


settings.configure(
    SECRET_KEY="not the key of the tokens, which is JWT_SECRET_KEY",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    TIME_ZONE="UTC",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # for Content-Length
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "knox", "jwt_knox"],
    DATABASES={"default": database(sys.argv[1])},
    # A fast hash: these passwords are public.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"]},
    JWT_AUTH={
        "JWT_SECRET_KEY": os.environ["JWT_SECRET_KEY"],
        "JWT_ISSUER": os.environ.get("JWT_ISSUER"),
        "JWT_AUDIENCE": os.environ.get("JWT_AUDIENCE"),
    },
    LOGGING={"version": 1, "loggers": {"django": {"level": "ERROR"}}},
)
django.setup()
urlpatterns = [path("", include("jwt_knox.urls")), path("knox/", include("knox.urls"))]


def prepare_database():
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    for username, password in [("alice", "wonderland"), ("bob", "builder")]:
        if not User.objects.filter(username=username).exists():
            User.objects.create_user(username, password=password)


prepare_database()
server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
server.daemon_threads = True
server.set_app(get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()
