"""What applications do, each with the repeated reads that are in it: SQLAlchemy's lazy and eager loading, paging,
polling, batches. Both hosts play all of it (tests/pg and tests/sqlite, test_n_plus_one.py)."""
import time

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Text, func, insert, select, text, update
from sqlalchemy.orm import (Session, declarative_base, joinedload, lazyload, relationship, selectinload,
                            subqueryload)

Base = declarative_base()

WORKFLOWS, EXECUTIONS, LOGS = 10, 6, 4  # executions for each workflow, logs for each execution


class Workflow(Base):
    __tablename__ = "workflows"
    id = Column(Integer, primary_key=True)
    name = Column(Text)
    executions = relationship("Execution", back_populates="workflow", order_by="Execution.id")
    tags = relationship("Tag")
    latest = relationship("Execution", lazy="dynamic", viewonly=True)


class Execution(Base):
    __tablename__ = "executions"
    id = Column(Integer, primary_key=True)
    workflow_id = Column(ForeignKey("workflows.id"), index=True)
    status = Column(Text)
    workflow = relationship("Workflow", back_populates="executions")
    logs = relationship("Log")


class Log(Base):
    __tablename__ = "logs"
    id = Column(Integer, primary_key=True)
    execution_id = Column(ForeignKey("executions.id"), index=True)
    message = Column(Text)


class Tag(Base):
    __tablename__ = "tags"
    id = Column(Integer, primary_key=True)
    workflow_id = Column(ForeignKey("workflows.id"), index=True)
    word = Column(Text)


class Job(Base):
    __tablename__ = "jobs"
    id = Column(Integer, primary_key=True)
    status = Column(Text)


def fill(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Workflow(id=w, name=f"w{w}") for w in range(1, WORKFLOWS + 1))
        session.flush()
        session.add_all(Execution(id=w * 100 + e, workflow_id=w, status="done")
                        for w in range(1, WORKFLOWS + 1) for e in range(EXECUTIONS))
        session.add_all(Tag(workflow_id=w, word="t") for w in range(1, WORKFLOWS + 1) for _ in range(3))
        session.flush()
        session.add_all(Log(execution_id=w * 100 + e, message=f"m{n}") for w in range(1, WORKFLOWS + 1)
                        for e in range(EXECUTIONS) for n in range(LOGS))
        session.add_all(Job(status="new") for _ in range(30))
        session.commit()


SCENES = []


def scene(*expected):
    """A scene and what is to be found in it: (parent's table, child's table, kind, repeats)."""
    def keep(play):
        SCENES.append((play.__name__, set(expected), play))
        return play
    return keep


N, R = "n_plus_one", "repeated_read"
W, E, L, T, J = "workflows", "executions", "logs", "tags", "jobs"


@scene((W, E, N, 10))
def lazy_collection(session):
    assert sum(len(w.executions) for w in session.query(Workflow)) == 60


@scene((E, W, N, 10))
def lazy_parent_of_each(session):
    assert len({e.workflow.name for e in session.query(Execution).filter(Execution.id % 100 == 0)}) == 10


@scene((W, E, N, 10), (W, T, N, 10))
def two_relations_in_turn(session):
    for w in session.query(Workflow):
        assert len(w.executions) == 6 and len(w.tags) == 3


@scene((W, E, N, 10), (W, T, N, 10))
def two_relations_in_two_loops(session):
    workflows = session.query(Workflow).all()
    assert all(len(w.executions) == 6 for w in workflows)
    assert all(len(w.tags) == 3 for w in workflows)


@scene((W, E, N, 10), (E, L, N, 60))
def two_levels(session):
    assert sum(len(e.logs) for w in session.query(Workflow) for e in w.executions) == 240


@scene((W, E, N, 10), (E, L, N, 60), (W, T, N, 10))
def two_levels_and_a_relation(session):
    for w in session.query(Workflow):
        assert len(w.tags) == 3 and sum(len(e.logs) for e in w.executions) == 24


@scene((E, L, N, 60))
def eager_above_lazy_below(session):
    for w in session.query(Workflow).options(selectinload(Workflow.executions)):
        assert sum(len(e.logs) for e in w.executions) == 24


@scene((W, E, N, 5))
def exactly_the_threshold(session):
    assert sum(len(w.executions) for w in session.query(Workflow).order_by(Workflow.id).limit(5)) == 30


@scene((W, E, N, 10))
def counts_for_each(session):
    for w in session.query(Workflow).all():
        assert session.query(func.count()).filter(Execution.workflow_id == w.id).scalar() == 6


@scene((W, E, N, 10))
def latest_of_each(session):
    for w in session.query(Workflow).all():
        assert len(w.latest.order_by(Execution.id.desc()).limit(2).all()) == 2


@scene((E, L, N, 20))
def plain_statements(session):
    for row in session.execute(select(Execution.id).order_by(Execution.id).limit(20)).all():
        assert len(session.execute(select(Log.message).where(Log.execution_id == row.id)).all()) == 4


@scene((E, L, N, 20))
def text_with_bound_values(session):
    for (key,) in session.execute(text("SELECT id FROM executions ORDER BY id LIMIT 20")).all():
        assert len(session.execute(text("SELECT * FROM logs WHERE execution_id = :e"), {"e": key}).all()) == 4


@scene((E, E, N, 12))
def keys_and_then_each_object(session):
    for (key,) in session.query(Execution.id).order_by(Execution.id).limit(12).all():
        assert session.get(Execution, key).status


@scene((W, E, N, 10))
def other_statements_around(session):
    assert session.query(func.count(Job.id)).scalar() == 30
    workflows = session.query(Workflow).all()
    assert session.query(Job).limit(25).all()
    for number, w in enumerate(workflows):
        assert w.executions
        if number == 4:
            assert session.query(Log).limit(3).all()


@scene((W, E, N, 10))
def writes_between(session):
    for w in session.query(Workflow).all():
        w.name = f"{w.name} {len(w.executions)}"
        session.flush()
    session.rollback()


@scene((W, T, R, 10))
def same_values_again(session):
    for _ in session.query(Workflow).all():
        assert session.execute(select(Tag.word).where(Tag.workflow_id == 3)).all()


@scene((W, T, R, 10), (W, E, N, 10))
def same_values_and_others(session):
    for w in session.query(Workflow).all():
        assert session.execute(select(Tag.word).where(Tag.workflow_id == 3)).all()
        assert len(w.executions) == 6


@scene((W, E, N, 20))
def one_request_after_the_other(session):
    for _ in range(2):
        assert sum(len(w.executions) for w in session.query(Workflow)) == 60
        session.rollback()
        session.expunge_all()


@scene((E, L, N, 30))
def page_by_page_with_children(session):
    for page in range(3):
        for e in session.query(Execution).order_by(Execution.id).limit(10).offset(page * 10).all():
            assert len(e.logs) == 4


@scene()
def eager_selectin(session):
    options = selectinload(Workflow.executions).selectinload(Execution.logs)
    assert sum(len(e.logs) for w in session.query(Workflow).options(options) for e in w.executions) == 240


@scene()
def eager_joined(session):
    options = joinedload(Workflow.executions).joinedload(Execution.logs)
    assert sum(len(e.logs) for w in session.query(Workflow).options(options) for e in w.executions) == 240


@scene()
def eager_subquery(session):
    assert sum(len(w.executions) for w in session.query(Workflow).options(subqueryload(Workflow.executions))) == 60


@scene()
def eager_in_small_batches(session):
    keys = [key for (key,) in session.query(Execution.id)]
    for at in range(0, 60, 10):
        assert len(session.query(Log).filter(Log.execution_id.in_(keys[at:at + 10])).all()) == 40


@scene()
def lazy_but_not_asked(session):
    assert len(session.query(Workflow).options(lazyload(Workflow.executions)).all()) == 10


@scene()
def batch_of_new_objects(session):
    assert session.query(Workflow).all()
    session.add_all(Job(status="new") for _ in range(40))
    session.flush()
    session.rollback()


@scene()
def executemany(session):
    assert session.query(Workflow).all()
    session.execute(insert(Job), [{"status": "new"} for _ in range(40)])
    session.rollback()


@scene()
def update_for_each(session):
    for w in session.query(Workflow).all():
        session.execute(update(Execution).where(Execution.workflow_id == w.id).values(status="x"))
    session.rollback()


@scene()
def pages_by_offset(session):
    assert session.query(Workflow).all()
    for page in range(8):
        session.query(Log).order_by(Log.id).limit(30).offset(page * 30).all()


@scene()
def pages_by_key(session):
    assert session.query(Workflow).all()
    last = 0
    for _ in range(9):
        rows = session.query(Log.id).filter(Log.id > last).order_by(Log.id).limit(30).all()
        last = rows[-1][0] if rows else last


@scene()
def pages_with_their_count(session):
    for page in range(8):
        assert session.query(func.count(Log.id)).scalar() == 240
        session.query(Log).order_by(Log.id).limit(30).offset(page * 30).all()


@scene()
def polling(session):
    assert session.query(Workflow).all()
    for _ in range(8):
        session.execute(select(func.count()).select_from(Job).where(Job.status == "ready")).scalar()
        time.sleep(0.12)


@scene()
def polling_for_newer(session):
    assert session.query(Workflow).all()
    for number in range(8):
        session.execute(select(Job.id).where(Job.id > 1000 + number)).all()
        time.sleep(0.12)


@scene()
def job_loop(session):
    assert session.query(Workflow).all()
    session.rollback()
    for _ in range(8):
        job = session.query(Job).filter(Job.status == "new").order_by(Job.id).limit(1).one()
        job.status = "done"
        session.commit()


@scene()
def objects_reloaded_after_each_commit(session):
    for w in session.query(Workflow).all():
        w.name = f"{w.name}."
        session.commit()


@scene()
def below_the_threshold(session):
    for w in session.query(Workflow).order_by(Workflow.id).limit(4).all():
        assert w.executions


@scene()
def far_more_often_than_rows(session):
    assert session.query(Workflow).order_by(Workflow.id).limit(5).all()
    for number in range(60):
        session.execute(select(Log).where(Log.execution_id == number)).all()


@scene()
def points_without_a_source(session):
    for number in range(1, 40):
        session.execute(select(Log).where(Log.id == number)).all()


@scene()
def same_read_of_two_transactions(session):
    for _ in range(2):
        assert session.query(Workflow).limit(3).all()
        for _ in range(3):
            session.execute(select(Tag.word).where(Tag.workflow_id == 3)).all()
        session.rollback()


@scene()
def pings(session):
    assert session.query(Workflow).all()
    for _ in range(10):
        session.execute(text("SELECT 1"))


@scene()
def reflection(session):
    found = MetaData()
    found.reflect(session.connection())
    assert len(found.tables) >= 5


@scene()
def reading_what_was_written(session):
    for w in session.query(Workflow).all():
        session.execute(update(Tag).where(Tag.workflow_id == w.id).values(word="u"))
        session.execute(select(func.count()).select_from(Tag).where(Tag.word == "u")).scalar()
    session.rollback()


class Score:
    """Counts over all scenes."""

    def __init__(self):
        self.scenes = self.wanted = self.found = self.false_alarms = 0

    def add(self, expected, got):
        self.scenes += 1
        self.wanted += len(expected)
        self.found += len(expected & got)
        self.false_alarms += len(got - expected)

    def __str__(self):
        return (f"measured: {self.scenes} traces, {self.found} of {self.wanted} findings,"
                f" {self.false_alarms} false alarms")
