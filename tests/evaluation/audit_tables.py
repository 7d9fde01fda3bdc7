"""A small table without leaks, for the tests of the audit."""

CLEAN = """image_id,lesion_id,patient_id,dx,split
i0,L0,P0,mel,train
i1,L0,P0,mel,train
i2,L1,P1,nv,train
i3,L2,P2,nv,test
i4,,,mel,test
i5,,,nv,val
"""
