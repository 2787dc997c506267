import traceback, time
from tests.faults.scene import *
def test_x(scene):
    print(scene.sql("select count(*),sum(length(content)) from images"))
    with scene.census_waits():
      with scene.backup_in_the_middle() as backup:
        print(scene.server.sql("show processlist"))
        [counting] = [number for number, statement in scene.connections() if "SQL_NO_CACHE" not in statement]
        scene.sql(f"KILL {counting}")
      e=backup.exception()
      traceback.print_exception(e)
      print(repr(e.__context__), repr(e.__cause__), e.__suppress_context__)
    assert 0
def test_y(scene):
    with scene.census_waits():
      with scene.backup_in_the_middle() as backup:
        t=time.time()
        scene.cancellation.request()
        print(time.time()-t)
        e=backup.exception()
        print(time.time()-t)
      traceback.print_exception(e)
      print(repr(e.__context__), repr(e.__cause__), e.__suppress_context__)
    assert 0
