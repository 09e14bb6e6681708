"""Three of the engine's tables declared as its ORM declares them (uuid keys made by the client,
JSON, times with zone), and one round trip through them. The same for both hosts."""
import datetime
import uuid

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

Base = orm.declarative_base()
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# As the engine does: uuid in PostgreSQL, text in SQLite, always text in Python.
Key = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def new_key():
    return str(uuid.uuid4())


class Workflow(Base):
    __tablename__ = "workflows"
    id = sa.Column(Key, primary_key=True, default=new_key)
    name = sa.Column(sa.String(255), nullable=False, unique=True)
    description = sa.Column(sa.Text)
    status = sa.Column(sa.String(50), nullable=False, default="active")
    config = sa.Column(Json, nullable=False, default=dict)
    created_by = sa.Column(sa.String(255))
    created_at = sa.Column(sa.DateTime(timezone=True), nullable=False, default=now)
    updated_at = sa.Column(sa.DateTime(timezone=True), nullable=False, default=now, onupdate=now)
    executions = orm.relationship("Execution", back_populates="workflow", passive_deletes=True)


class Execution(Base):
    __tablename__ = "workflow_executions"
    id = sa.Column(Key, primary_key=True, default=new_key)
    workflow_id = sa.Column(Key, sa.ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False)
    execution_id = sa.Column(sa.String(255), nullable=False, unique=True)
    status = sa.Column(sa.String(50), nullable=False, default="pending")
    started_at = sa.Column(sa.DateTime(timezone=True), nullable=False, default=now)
    completed_at = sa.Column(sa.DateTime(timezone=True))
    result = sa.Column(Json)
    error_message = sa.Column(sa.Text)
    retry_count = sa.Column(sa.Integer, nullable=False, default=0)
    parent_execution_id = sa.Column(Key, sa.ForeignKey("workflow_executions.id"))
    trigger_type = sa.Column(sa.String(100))
    trigger_data = sa.Column(Json)
    workflow = orm.relationship("Workflow", back_populates="executions")
    logs = orm.relationship("Log", order_by="Log.created_at", passive_deletes=True)


class Log(Base):
    __tablename__ = "execution_logs"
    id = sa.Column(Key, primary_key=True, default=new_key)
    execution_id = sa.Column(Key, sa.ForeignKey("workflow_executions.id", ondelete="CASCADE"),
                             nullable=False)
    level = sa.Column(sa.String(20), nullable=False)
    message = sa.Column(sa.Text, nullable=False)
    log_metadata = sa.Column(Json)
    step_name = sa.Column(sa.String(255))
    created_at = sa.Column(sa.DateTime(timezone=True), nullable=False, default=now)


class Integration(Base):
    __tablename__ = "integrations"
    id = sa.Column(Key, primary_key=True, default=new_key)
    name = sa.Column(sa.String(255), nullable=False, unique=True)
    type = sa.Column(sa.String(100), nullable=False)
    config = sa.Column(Json, nullable=False, default=dict)
    enabled = sa.Column(sa.Boolean, nullable=False, default=True)
    health_status = sa.Column(sa.String(50), nullable=False, default="unknown")
    last_health_check = sa.Column(sa.DateTime(timezone=True))
    created_at = sa.Column(sa.DateTime(timezone=True), nullable=False, default=now)
    updated_at = sa.Column(sa.DateTime(timezone=True), nullable=False, default=now, onupdate=now)


def as_utc(at):
    """SQLite's driver hands times back without their zone: they are UTC."""
    return at.replace(tzinfo=datetime.timezone.utc) if at.tzinfo is None else at


def round_trip(test, engine):
    """Writes through the ORM, reads in a new session, changes, deletes with its children."""
    key = new_key()
    began = datetime.datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=datetime.timezone.utc)
    ended = began + datetime.timedelta(seconds=7)
    config = {"retries": 3, "notify": True, "labels": ["bug", "ä€"], "nested": {"a": None}}
    with orm.Session(engine) as session:
        workflow = Workflow(id=key, name="triage", config=config)
        run = Execution(workflow=workflow, execution_id="run-1", status="completed",
                        started_at=began, completed_at=ended, result={"ok": True})
        run.logs = [Log(level="ERROR", message="second", created_at=ended),
                    Log(level="INFO", message="first", created_at=began, log_metadata={"n": 1})]
        session.add_all([workflow, Integration(name="hub", type="github", enabled=False)])
        session.flush()
        session.add(Execution(workflow_id=key, execution_id="run-2", parent_execution_id=run.id))
        session.commit()
    with orm.Session(engine) as session:
        workflow = session.get(Workflow, key)
        test.assertEqual((workflow.status, workflow.config), ("active", config))
        runs = session.execute(sa.select(Execution).where(Execution.workflow_id == key)
                               .order_by(Execution.execution_id)).scalars().all()
        test.assertEqual([run.status for run in runs], ["completed", "pending"])
        test.assertEqual(runs[1].parent_execution_id, runs[0].id)
        test.assertEqual(as_utc(runs[0].completed_at) - as_utc(runs[0].started_at), ended - began)
        test.assertEqual(as_utc(runs[0].started_at), began)
        test.assertEqual(runs[0].result, {"ok": True})
        test.assertEqual([log.message for log in runs[0].logs], ["first", "second"])
        test.assertIsNone(runs[0].logs[1].log_metadata)
        test.assertFalse(session.execute(sa.select(Integration.enabled)).scalar())
        newest = session.execute(sa.select(Execution.execution_id).where(
            Execution.started_at >= began + datetime.timedelta(hours=1))).scalars().all()
        test.assertEqual(newest, ["run-2"])
        workflow.status = "archived"
        session.delete(runs[1])
        session.commit()
    with orm.Session(engine) as session:
        session.delete(session.get(Workflow, key))
        session.commit()
        for table in (Execution, Log):  # by the tables' own ON DELETE CASCADE
            test.assertEqual(session.execute(sa.select(sa.func.count()).select_from(table)).scalar(), 0)
    for wrong in (Workflow(name="x", status="nonsense"),
                  Integration(name="y", type="carrier pigeon"),
                  Execution(workflow_id=new_key(), execution_id="orphan")):
        with orm.Session(engine) as session, test.assertRaises(sa.exc.IntegrityError):
            session.add(wrong)
            session.commit()
