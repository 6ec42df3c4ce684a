"""The OpenAPI document of the REST API."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView

from policy.api.permissions import HasScope


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document names bearer keys."""

    target_class = "policy.api.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "tg_…"}


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, for whoever is known."""

    permission_classes = [HasScope]
    renderer_classes = [OpenApiJsonRenderer, OpenApiYamlRenderer]
    required_scope = ""
    capability = ""
