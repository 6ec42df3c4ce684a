"""Settings, System: how the installation is just now."""

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.clock import now
from core.http import is_partial, wants_json
from gateway.selectors.system import system as look
from policy.access import IDENTITY_ADMIN
from policy.web import Request, requires


@never_cache
@require_safe
@requires(IDENTITY_ADMIN)
def system(request: Request) -> HttpResponse:
    """A page that keeps itself fresh; JSON by ``?format=json`` or by Accept."""
    found = look(at=now())
    if request.GET.get("format") == "json" or wants_json(request):
        return JsonResponse(found.as_dict())
    part = "#state" if is_partial(request) else ""
    return render(request, f"settings/system.html{part}", {"system": found})
