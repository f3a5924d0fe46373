"""Runs a compiled pipeline definition on this machine, with the toolkits that AWS's images use.

Nothing here prints: `execution.run` interprets a definition and tells an observer how it goes.

- `expressions`, `plan`: what the definition's expressions stand for, and the order of its steps.
- `store`: folders that stand for S3.
- `sandbox`, `jobs`, `serving`: processes with a folder as /opt/ml, and what is made of them.
- `service`: what each type of step makes; `execution`: a whole run.
- `inputs`: checks what the user gave, before anything starts; `report`: the page about a run.

Whoever has a definition, S3 and a SageMaker of their own (an emulated AWS) runs it like this::

    place = jobs.Place(sandbox.find(environment), store, folder)  # any store.ObjectStore
    runners = service.LocalService(place).runners() | {"Model": my_create_model}
    host = execution.Host(runners, store.read, requests.checker(), observe)
    execution.run(definition, execution.new_execution(definition, parameters, name), host)
"""
