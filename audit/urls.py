"""Pages and API of this app."""

from django.urls import URLPattern, URLResolver, include, path

from audit.views import events, retention, saved, sinks, verify

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("audit.api.urls")),
    path("audit/", events.event_list, name="audit"),
    path("audit/views/save/", saved.view_save, name="view_save"),
    path("audit/views/<int:pk>/remove/", saved.view_remove, name="view_remove"),
    path("audit/retention/", retention.retention, name="retention"),
    path("audit/retention/hold/", retention.hold_add, name="hold_add"),
    path("audit/retention/<int:pk>/lift/", retention.hold_lift, name="hold_lift"),
    path("audit/sinks/", sinks.sink_list, name="audit_sinks"),
    path("audit/sinks/add/", sinks.sink_choose, name="audit_sink_choose"),
    path("audit/sinks/add/<slug:kind>/", sinks.sink_add, name="audit_sink_add"),
    path("audit/sinks/<int:pk>/", sinks.sink, name="audit_sink"),
    path("audit/sinks/<int:pk>/change/", sinks.sink_change, name="audit_sink_change"),
    path("audit/sinks/<int:pk>/test/", sinks.sink_test, name="audit_sink_test"),
    path("audit/sinks/<int:pk>/pause/", sinks.sink_pause, name="audit_sink_pause"),
    path("audit/sinks/<int:pk>/resume/", sinks.sink_resume, name="audit_sink_resume"),
    path("audit/sinks/<int:pk>/remove/", sinks.sink_remove, name="audit_sink_remove"),
    path("audit/sinks/<int:pk>/resend/", sinks.sink_resend, name="audit_sink_resend"),
    path("audit/verify/", verify.verify, name="verify"),
    path("audit/verify/run/", verify.verify_now, name="verify_now"),
    path("audit/<slug:uid>/", events.event, name="event"),
]
