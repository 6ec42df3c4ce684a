"""Django settings: every value an operator may change comes from the environment."""

import sys
from pathlib import Path

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("TOLLGATE_DATA_DIR", str(BASE_DIR / "var"))).resolve()
MODE = env.text("TOLLGATE_MODE", "development")
if MODE not in {"development", "production"}:
    raise ImproperlyConfigured(
        f"TOLLGATE_MODE is {MODE!r}: use development or production."
    )
PRODUCTION = MODE == "production"
DEBUG = False

_DEVELOPMENT_SECRET = "development-only-secret-never-use-in-production"  # noqa: S105
SECRET_KEY = env.text("TOLLGATE_SECRET_KEY", _DEVELOPMENT_SECRET)
if PRODUCTION and (SECRET_KEY == _DEVELOPMENT_SECRET or len(SECRET_KEY) < 32):
    raise ImproperlyConfigured(
        "TOLLGATE_SECRET_KEY (or TOLLGATE_SECRET_KEY_FILE) must hold at least 32 "
        "random characters in production mode."
    )
PORT = env.number("TOLLGATE_PORT", 8000)
ALLOWED_HOSTS = env.words("TOLLGATE_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("TOLLGATE_TRUSTED_ORIGINS")
PUBLIC_URL = env.text("TOLLGATE_PUBLIC_URL", f"http://127.0.0.1:{PORT}")

_engines = env.engines(DATA_DIR)
DATABASE_URL = env.text("DATABASE_URL")
OWNER_DATABASE_URL = env.text("TOLLGATE_OWNER_DATABASE_URL")
if not DATABASE_URL:
    DATABASE_URL = _engines.get("database_url", "")
    OWNER_DATABASE_URL = _engines.get("owner_database_url", "")
# Whom the processes are in PostgreSQL; the tables may belong to a role of their own.
DATABASE_ROLE = env.role(DATABASE_URL)
if OWNER_DATABASE_URL and env.flag("TOLLGATE_AS_OWNER", default=False):
    DATABASE_URL = OWNER_DATABASE_URL
REDIS_URL = env.text("REDIS_URL") or _engines.get("redis_url", "")
DATABASES = {
    "default": env.database(DATABASE_URL or "postgresql://127.0.0.1:1/tollgate")
    | {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "core",
    "audit",
    "policy",
    "finops",
    "gateway",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "guardian",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "rest_framework",
    "template_partials",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "policy.middleware.AccessMiddleware",
    "core.http.ErrorMiddleware",
]
CSRF_FAILURE_VIEW = "core.http.csrf_failed"
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gateway.contexts.navigation",
            ],
            "builtins": ["core.templatetags.tollgate"],
        },
    }
]

AUTH_USER_MODEL = "policy.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
GUARDIAN_MONKEY_PATCH_GROUP = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign_in"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if PRODUCTION:
    SECURE_HSTS_SECONDS = env.number("TOLLGATE_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("TOLLGATE_HSTS_SUBDOMAINS", default=True)
    SECURE_HSTS_PRELOAD = env.flag("TOLLGATE_HSTS_PRELOAD", default=True)
    SECURE_SSL_REDIRECT = env.flag("TOLLGATE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
REPORT_TIME_ZONE = env.text("TOLLGATE_REPORT_TIME_ZONE", "UTC")
CURRENCY = env.text("TOLLGATE_CURRENCY", "USD")
# Whose installation this is, on printed reports; the public address where unset.
ORGANISATION = env.text("TOLLGATE_ORGANISATION")
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION

# plotly.js adds one empty <style>: allowed by the hash of the empty string.
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF, _EMPTY_STYLE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = "default"
# These need what only a runner holds: sandboxes and connections to tool servers.
CELERY_TASK_ROUTES = {
    f"gateway.{name}": {"queue": "runs"}
    for name in ("execute_run", "sync_server", "check_servers")
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 300}
# Threads keep their database connection from task to task: a new one costs more than
# all queries of a short run. Broken ones are dropped before each task.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "sweep-runs": {"task": "gateway.sweep_runs", "schedule": 5.0},
    "forget-results": {"task": "gateway.forget_results", "schedule": 3600.0},
    "forget-quota-history": {
        "task": "policy.forget_quota_history",
        "schedule": 3600.0,
    },
    "reconcile-budgets": {"task": "finops.reconcile_budgets", "schedule": 300.0},
    "forecast-budgets": {"task": "finops.forecast_budgets", "schedule": 3600.0},
    "watch-budgets": {"task": "finops.watch_budgets", "schedule": 60.0},
    "settle-lost-model-calls": {
        "task": "gateway.settle_lost_model_calls",
        "schedule": 300.0,
    },
    "note-uses": {"task": "gateway.note_uses", "schedule": 60.0},
    "send-reports": {"task": "finops.send_reports", "schedule": 30.0},
    "roll-up": {"task": "finops.roll_up", "schedule": 60.0},
    "settle-tasks": {"task": "finops.settle_tasks", "schedule": 300.0},
    "check-servers": {"task": "gateway.check_servers", "schedule": 60.0},
    "verify-new": {"task": "audit.verify", "schedule": 600.0},
    "verify-whole": {
        "task": "audit.verify",
        "schedule": crontab(hour=2, minute=40),
        "kwargs": {"whole": True},
    },
    "make-partitions": {"task": "audit.make_partitions", "schedule": 21_600.0},
    "build-statements": {
        "task": "finops.build_statements",
        "schedule": crontab(hour=3, minute=20),
    },
    "find-reratings": {
        "task": "finops.work_on_lost_reratings",
        "schedule": 60.0,
    },
    "tell-unrated": {"task": "finops.tell_unrated", "schedule": 300.0},
    "make-ledger-months": {"task": "finops.make_partitions", "schedule": 21_600.0},
    "escalate-approvals": {"task": "policy.escalate_approvals", "schedule": 10.0},
    "find-notifications": {"task": "policy.find_notifications", "schedule": 5.0},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "policy.api.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["policy.api.permissions.HasScope"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "policy.api.errors.handle",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "policy.api.parsing.StrictJsonParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tollgate",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "AnnotationKindEnum": "finops.models.annotations.Annotation.Kind",
        "ChannelKindEnum": "policy.models.notification.NotificationChannel.Kind",
        "DeciderKindEnum": "policy.models.approval.ApprovalRoute.Kind",
        "DraftStateEnum": "policy.models.rules.PolicyDraft.State",
        "EffectEnum": "gateway.models.catalog.Effect",
        "IdempotencyEnum": "gateway.models.catalog.Idempotency",
        "QuotaStateEnum": [("ok", "ok"), ("near", "near"), ("full", "full")],
        "RunModeEnum": "gateway.models.runs.Run.Mode",
        "RunStatusEnum": "gateway.models.runs.Run.Status",
        "SinkKindEnum": "audit.sinks.KIND_CHOICES",
        "ServerStatusEnum": "gateway.models.catalog.Server.Status",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("TOLLGATE_LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx2": {"level": "WARNING"},
        "mcp": {"level": "WARNING"},
        "bm25s": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

# gvisor, monty (no kernel isolation) or both, the first that works here is used
SANDBOX_PROVIDERS = env.words("TOLLGATE_SANDBOX", "gvisor")
METRICS_TOKEN = env.text("TOLLGATE_METRICS_TOKEN")
SANDBOX_POOL_SIZE = env.number("TOLLGATE_SANDBOX_POOL", 4)
SANDBOX_POOL_TYPESCRIPT = env.number("TOLLGATE_SANDBOX_POOL_TYPESCRIPT", 1)
RUN_THREADS = env.number("TOLLGATE_RUN_THREADS", 16)
RUN_LEASE_SECONDS = env.number("TOLLGATE_RUN_LEASE_SECONDS", 30)
# A call's own time limit is its server's; none may be longer than this.
CALL_LONGEST_SECONDS = env.number("TOLLGATE_CALL_LONGEST_SECONDS", 120)
# Usage of models may be reported so late at most.
USAGE_DAYS = env.number("TOLLGATE_USAGE_DAYS", 100)
RESULT_DAYS = env.number("TOLLGATE_RESULT_DAYS", 30)
# Runs that one session sends with no longer a pause are attempts at one task.
TASK_IDLE_SECONDS = env.number("TOLLGATE_TASK_IDLE_SECONDS", 900)
TASK_ABANDONED_HOURS = env.number("TOLLGATE_TASK_ABANDONED_HOURS", 24)
# Reports of so many runs and more are read from the sums of days.
EXACT_RUNS = env.number("TOLLGATE_EXACT_RUNS", 50_000)
APPROVAL_SECONDS = env.number("TOLLGATE_APPROVAL_SECONDS", 86_400)
# One message to one receiver may take this long in all.
NOTIFY_SECONDS = env.number("TOLLGATE_NOTIFY_SECONDS", 5)
# Hosts and networks inside the perimeter that webhooks and sinks may reach.
WEBHOOK_PRIVATE_HOSTS = env.words("TOLLGATE_WEBHOOK_PRIVATE_HOSTS")
# Without a host no mail is sent, and its messages say so.
EMAIL_HOST = env.text("TOLLGATE_EMAIL_HOST")
EMAIL_PORT = env.number("TOLLGATE_EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("TOLLGATE_EMAIL_USER")
EMAIL_HOST_PASSWORD = env.text("TOLLGATE_EMAIL_PASSWORD")
EMAIL_USE_TLS = env.flag("TOLLGATE_EMAIL_STARTTLS", default=False)
EMAIL_USE_SSL = env.flag("TOLLGATE_EMAIL_TLS", default=False)
EMAIL_TIMEOUT = NOTIFY_SECONDS
DEFAULT_FROM_EMAIL = env.text("TOLLGATE_EMAIL_FROM", "tollgate@localhost")
# The audit trail's name in its checkpoints, and what signs them. More than one key
# signs during a rotation, the new one first.
AUDIT_ORIGIN = env.text("TOLLGATE_AUDIT_ORIGIN") or env.without_scheme(
    f"{PUBLIC_URL}/audit"
)
AUDIT_KEY_FILES = env.words("TOLLGATE_AUDIT_KEY_FILE")
AUDIT_SIGNER = env.text("TOLLGATE_AUDIT_SIGNER")
# Where sinks that are files are written.
AUDIT_SINK_DIR = env.text("TOLLGATE_AUDIT_SINK_DIR", str(DATA_DIR / "sinks"))
# One batch to one sink may take this long in each of its steps.
SINK_SECONDS = env.number("TOLLGATE_SINK_SECONDS", 10)
AUDIT_TRUSTED_KEYS = env.words("TOLLGATE_AUDIT_TRUSTED_KEYS")
AUDIT_ANCHOR_FILE = env.text(
    "TOLLGATE_AUDIT_ANCHOR", str(DATA_DIR / "audit" / "last-checkpoint")
)
# Months are kept for so long after their end; dropping one is a command of its own.
AUDIT_RETENTION_MONTHS = env.number("TOLLGATE_AUDIT_RETENTION_MONTHS", 84)
AUDIT_EXPORT_DIR = env.text(
    "TOLLGATE_AUDIT_EXPORT_DIR", str(DATA_DIR / "audit" / "exports")
)
AUDIT_SEAL_SECONDS = env.number("TOLLGATE_AUDIT_SEAL_SECONDS", 1)
SCRIPT_MAX_CHARACTERS = env.number("TOLLGATE_SCRIPT_MAX_CHARACTERS", 100_000)
