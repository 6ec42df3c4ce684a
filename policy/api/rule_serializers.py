"""Rules, versions and drafts as the REST API shows and takes them."""

from typing import Any

from rest_framework import serializers

from policy.models import PolicyDraft, PolicyVersion


class RulesField(serializers.ListField):
    """Rules as documents; what is wrong with one is said by the rule's checks."""

    child = serializers.DictField()


class DocumentSerializer(serializers.Serializer[Any]):
    """The document that is kept in git."""

    rules = RulesField()


class LiveSerializer(serializers.Serializer[Any]):
    """The rules in force."""

    version = serializers.IntegerField()
    digest = serializers.CharField()
    rules = RulesField()


class VersionSerializer(serializers.ModelSerializer[PolicyVersion]):
    """A version, without its rules."""

    class Meta:
        model = PolicyVersion
        fields: tuple[str, ...] = (
            "number",
            "digest",
            "reason",
            "base",
            "draft",
            "author_label",
            "published_label",
            "published_at",
            "second_by",
        )


class VersionDetailSerializer(VersionSerializer):
    """A version with its rules."""

    rules = RulesField()

    class Meta(VersionSerializer.Meta):
        fields = (*VersionSerializer.Meta.fields, "rules")


class DraftSerializer(serializers.ModelSerializer[PolicyDraft]):
    """A draft, without its rules. ``revision`` is raised by each change of it."""

    class Meta:
        model = PolicyDraft
        fields: tuple[str, ...] = (
            "uid",
            "name",
            "base",
            "revision",
            "state",
            "author_label",
            "created_at",
            "changed_at",
            "reason",
            "proposed_label",
            "proposed_at",
            "version",
        )


class DraftDetailSerializer(DraftSerializer):
    """A draft with its rules."""

    rules = RulesField()

    class Meta(DraftSerializer.Meta):
        fields = (*DraftSerializer.Meta.fields, "rules")


class FieldChangeSerializer(serializers.Serializer[Any]):
    """A field before and after."""

    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class ChangeSerializer(serializers.Serializer[Any]):
    """A rule that was added, removed or changed."""

    rule = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    kind = serializers.ChoiceField(["added", "removed", "changed"])
    fields = serializers.DictField(child=FieldChangeSerializer())  # type: ignore[assignment]


class ChangesSerializer(serializers.Serializer[Any]):
    """What differs."""

    changes = ChangeSerializer(many=True)


class BeginSerializer(serializers.Serializer[Any]):
    """A new draft: of the live rules, or of ``rules``."""

    name = serializers.CharField(max_length=100)
    rules = RulesField(required=False)


class RevisionSerializer(serializers.Serializer[Any]):
    """``revision`` of the draft as it was read; a change meanwhile is then refused."""

    revision = serializers.IntegerField(
        required=False, min_value=1, max_value=2_000_000_000
    )


class ReplaceSerializer(RevisionSerializer):
    """All rules of a draft: as documents, or as a YAML document."""

    rules = RulesField(required=False)
    yaml = serializers.CharField(required=False, trim_whitespace=False)


class RuleSerializer(RevisionSerializer):
    """One rule; ``rule.id`` may differ from the address: then it is renamed."""

    rule = serializers.DictField()


class ReasonSerializer(serializers.Serializer[Any]):
    """Why, for the audit trail."""

    reason = serializers.CharField(max_length=400)


class PublishSerializer(RevisionSerializer):
    """Why; without a reason that of the proposal holds."""

    reason = serializers.CharField(max_length=400, required=False, default="")


class RebaseSerializer(serializers.Serializer[Any]):
    """For rules that both sides changed: by id, whether mine or live holds."""

    take = serializers.DictField(
        child=serializers.ChoiceField(["mine", "live"]), required=False
    )


class CheckSerializer(serializers.Serializer[Any]):
    """Rules to be checked without being kept."""

    rules = RulesField()


class ProblemSerializer(serializers.Serializer[Any]):
    """What is wrong with a rule."""

    rule = serializers.CharField(allow_blank=True)
    field = serializers.CharField()
    message = serializers.CharField()


class ProblemsSerializer(serializers.Serializer[Any]):
    """Everything that is wrong; an empty list means nothing."""

    problems = ProblemSerializer(many=True)


class PolicySettingsSerializer(serializers.Serializer[Any]):
    """Whether a second person has to publish."""

    two_person_publish = serializers.BooleanField()
