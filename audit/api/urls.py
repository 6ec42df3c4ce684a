"""REST addresses of the trail."""

from django.urls import URLPattern, URLResolver, path

from audit.api import proofs, retention, sinks, views

_SINK_ACTS = {
    "test": sinks.SinkTest,
    "pause": sinks.SinkPause,
    "resume": sinks.SinkResume,
    "remove": sinks.SinkRemove,
    "resend": sinks.SinkResend,
}
urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/audit/events/", views.EventList.as_view(), name="api_events"),
    path(
        "api/v1/audit/events/<slug:uid>/proof/",
        proofs.EventProof.as_view(),
        name="api_event_proof",
    ),
    path(
        "api/v1/audit/checkpoints/",
        proofs.CheckpointList.as_view(),
        name="api_checkpoints",
    ),
    path(
        "api/v1/audit/consistency/",
        proofs.Consistency.as_view(),
        name="api_consistency",
    ),
    path("api/v1/audit/evidence/", proofs.Evidence.as_view(), name="api_evidence"),
    path(
        "api/v1/audit/events/<slug:uid>/",
        views.EventDetail.as_view(),
        name="api_event",
    ),
    path("api/v1/audit/months/", retention.MonthList.as_view(), name="api_months"),
    path("api/v1/audit/holds/", retention.HoldList.as_view(), name="api_holds"),
    path(
        "api/v1/audit/holds/<int:pk>/lift/",
        retention.HoldLift.as_view(),
        name="api_hold_lift",
    ),
    path("api/v1/audit/sinks/", sinks.SinkList.as_view(), name="api_audit_sinks"),
    path(
        "api/v1/audit/sinks/<int:pk>/",
        sinks.SinkDetail.as_view(),
        name="api_audit_sink",
    ),
    *(
        path(
            f"api/v1/audit/sinks/<int:pk>/{act}/",
            view.as_view(),
            name=f"api_audit_sink_{act}",
        )
        for act, view in _SINK_ACTS.items()
    ),
    path(
        "api/v1/audit/sinks/<int:pk>/dead-letters/",
        sinks.DeadLetterList.as_view(),
        name="api_audit_dead_letters",
    ),
]
